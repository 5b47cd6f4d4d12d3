"""Dino at a screen that nobody sees, as a person uses it: an account in its database, what it prints of its streams, what its
database has of conversations, what is typed into its window."""
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import threading
import time
from pathlib import Path

WAIT = 90
SYSTEM_CA = '/etc/ssl/certs/ca-certificates.crt'  # GnuTLS's, for which there is no setting


class Screen:
    """An X server without a screen."""

    def __init__(self):
        ours, theirs = os.pipe()
        self.process = subprocess.Popen(['Xvfb', '-displayfd', str(theirs), '-screen', '0', '1024x768x24', '-nolisten', 'tcp'],
                                        pass_fds=[theirs], stderr=subprocess.DEVNULL)
        os.close(theirs)
        with os.fdopen(ours) as f:
            self.name = ':' + f.readline().strip()

    def close(self):
        self.process.terminate()
        self.process.wait()


class Dino:
    """It finds its server under the name of the domain alone, at port 5222: so the domain is localhost."""

    def __init__(self, screen, server, name, resource):
        self.screen, self.jid = screen, f'{name}@{server.domain}'
        self.home = Path(tempfile.mkdtemp(prefix='jackdaw-dino-'))
        self.data = self.home / 'data/dino'
        self.data.mkdir(parents=True)
        for folder in ('config', 'cache', 'run'):
            (self.home / folder).mkdir(mode=0o700)
        db = sqlite3.connect(self.data / 'dino.db')
        with db:
            db.execute('CREATE TABLE account (id INTEGER PRIMARY KEY AUTOINCREMENT, bare_jid TEXT NOT NULL UNIQUE, resourcepart TEXT, '
                       'password TEXT, alias TEXT, enabled INTEGER, roster_version TEXT, mam_earliest_synced INTEGER)')
            db.execute('INSERT INTO account (bare_jid, resourcepart, password, enabled) VALUES (?, ?, ?, 1)',
                       (self.jid, resource, server.password))
        db.close()
        (self.home / 'ca.pem').write_text(Path(server.ca).read_text())
        (self.home / 'resolv.conf').write_text('nameserver 127.0.0.1\noptions timeout:1 attempts:1\n')
        self.process = None

    @property
    def env(self):
        return {'PATH': os.environ['PATH'], 'HOME': str(self.home), 'LANG': 'C.UTF-8', 'DISPLAY': self.screen.name,
                'XDG_CONFIG_HOME': str(self.home / 'config'), 'XDG_DATA_HOME': str(self.home / 'data'),
                'XDG_CACHE_HOME': str(self.home / 'cache'), 'XDG_RUNTIME_DIR': str(self.home / 'run'),
                'GSETTINGS_BACKEND': 'memory', 'GTK_A11Y': 'none', 'GSK_RENDERER': 'cairo', 'GIO_USE_NETWORK_MONITOR': 'base'}

    # ---- its life ----

    def start(self):
        self.printed = []
        command = f'mount --bind {self.home}/ca.pem {SYSTEM_CA} && mount --bind {self.home}/resolv.conf /etc/resolv.conf && ' \
                  f'exec dbus-run-session -- sh -c "echo \\$DBUS_SESSION_BUS_ADDRESS > {self.home}/bus; exec dino-im --print-xmpp=all"'
        self.process = subprocess.Popen(['unshare', '--mount', 'sh', '-c', command], env=self.env, cwd=self.home,
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                        errors='replace', start_new_session=True)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        return self

    def _read(self):
        for line in self.process.stdout:
            self.printed.append(line)

    def stop(self):
        """As when the machine goes off: all that it has is in its database."""
        if self.process:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.reader.join(WAIT)
            self.process = None

    def remove(self):
        self.stop()
        shutil.rmtree(self.home, ignore_errors=True)

    # ---- its person ----

    def tool(self, *command):
        bus = (self.home / 'bus').read_text().strip()
        done = subprocess.run(command, env={**self.env, 'DBUS_SESSION_BUS_ADDRESS': bus}, capture_output=True, text=True, timeout=WAIT)
        assert done.returncode == 0, f'{command}: {done.stderr}'
        return done.stdout

    def open(self, jid):
        """The conversation with somebody who has said something is on the screen, and the keyboard is there."""
        self.tool('dino-im', f'xmpp:{jid}?message')
        window = self.tool('xdotool', 'search', '--sync', '--onlyvisible', '--class', 'dino').split()[-1]
        self.tool('xdotool', 'windowfocus', '--sync', window)
        self.until('it is read', lambda: self.rows('SELECT id FROM conversation WHERE read_up_to_item >= 0'))

    def type(self, text):
        self.tool('xdotool', 'type', '--delay', '20', text)
        self.tool('xdotool', 'key', 'Return')

    # ---- what it knows ----

    def until(self, what, condition):
        end = time.monotonic() + WAIT
        while not condition():
            assert self.process.poll() is None, f'dino has ended with {self.process.returncode}: {"".join(self.printed)[-2000:]}'
            assert time.monotonic() < end, f'{what}: not within {WAIT} s. It printed at last: {"".join(self.printed)[-3000:]}'
            time.sleep(0.1)

    def seen(self, direction, ns, name):
        """How many such elements were at the top level, IN or OUT."""
        pattern = rf'^XMPP {direction} \[[^\n]*\n<\{{{re.escape(ns)}\}}:{name} '
        return len(re.findall(pattern, ''.join(self.printed), re.M))

    def has(self, text):
        return text in ''.join(self.printed)

    def wait_seen(self, direction, ns, name, times=1):
        self.until(f'{direction} {name}', lambda: self.seen(direction, ns, name) >= times)

    def rows(self, query):
        db = sqlite3.connect(f'file:{self.data}/dino.db?mode=ro', uri=True, timeout=30)
        try:
            return db.execute(query).fetchall()
        except sqlite3.OperationalError:  # it is making its tables
            return []
        finally:
            db.close()

    def wait_range(self):
        """It has noted up to where it knows the archive."""
        self.until('a range of the archive', lambda: self.rows('SELECT id FROM mam_catchup'))

    def messages(self):
        """[(whether it is ours, text, id in the archive)], by time."""
        return [(bool(d), body, i) for d, body, i in
                self.rows('SELECT direction, body, server_id FROM message WHERE body IS NOT NULL ORDER BY time, id')]

    def texts(self):
        return [body for _, body, _ in self.messages()]

    def wait_texts(self, texts):
        self.until(f'{texts[-1]!r} in its database', lambda: len(self.texts()) >= len(texts))
        assert sorted(self.texts()) == sorted(texts)
