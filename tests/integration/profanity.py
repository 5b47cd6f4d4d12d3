"""profanity at a terminal of its own, as a person uses it: what is typed, what it writes into its log, what its history has."""
import fcntl
import os
import pty
import re
import shutil
import signal
import sqlite3
import struct
import subprocess
import tempfile
import termios
import threading
import time
from pathlib import Path

WAIT = 90


class Profanity:
    """Started logs in at once; stopped it leaves its history to the next start of the same home."""

    def __init__(self, server, name, resource, port=None):
        self.server, self.jid, self.resource = server, f'{name}@{server.domain}', resource
        self.home = Path(tempfile.mkdtemp(prefix='jackdaw-profanity-'))
        config, data = self.home / 'config/profanity', self.home / 'data/profanity'
        config.mkdir(parents=True)
        data.mkdir(parents=True)
        (config / 'profrc').write_text(
            '[connection]\nreconnect=1\nautoping=0\ncarbons=true\nmam=true\n'
            '[notifications]\nmessage=false\n[ui]\nsplash=false\n[logging]\ndblog=on\n')
        (data / 'accounts').write_text(
            f'[{name}]\nenabled=true\njid={self.jid}\nresource={resource}\nserver=127.0.0.1\nport={port or server.port}\n'
            f'password={server.password}\ntls.policy=trust\npresence.last=online\npresence.login=online\n')
        self.name = name
        self.process = None

    # ---- its life ----

    def start(self):
        self.screen = b''
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack('HHHH', 50, 220, 0, 0))
        env = {'PATH': os.environ['PATH'], 'HOME': str(self.home), 'TERM': 'xterm', 'LANG': 'C.UTF-8',
               'XDG_CONFIG_HOME': str(self.home / 'config'), 'XDG_DATA_HOME': str(self.home / 'data')}
        self.process = subprocess.Popen(['profanity', '-l', 'DEBUG', '-a', self.name], stdin=slave, stdout=slave, stderr=slave,
                                        env=env, cwd=self.home, start_new_session=True)
        os.close(slave)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        return self

    def _read(self):
        while True:
            try:
                data = os.read(self.master, 65536)
            except OSError:
                return
            if not data:
                return
            self.screen += data

    def type(self, line):
        os.write(self.master, line.encode() + b'\r')

    def stop(self):
        self.type('/quit')
        try:
            self.process.wait(WAIT)
        finally:
            self.kill()

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        if self.process:
            self.reader.join()
            os.close(self.master)
            self.process = None

    def remove(self):
        self.kill()
        shutil.rmtree(self.home, ignore_errors=True)

    # ---- what it knows ----

    def log(self):
        return ''.join(p.read_text(errors='replace') for p in sorted((self.home / 'data/profanity/logs').glob('*.log')))

    def until(self, what, condition):
        end = time.monotonic() + WAIT
        while not condition():
            assert self.process.poll() is None, f'profanity has ended with {self.process.returncode}: {self.log()[-2000:]}'
            assert time.monotonic() < end, f'{what}: not within {WAIT} s. Its log ends: {self.log()[-3000:]}'
            time.sleep(0.1)

    def seen(self, pattern):
        """How often the log has it."""
        return len(re.findall(pattern, self.log()))

    def wait_log(self, pattern, times=1):
        self.until(pattern, lambda: self.seen(pattern) >= times)

    def history(self):
        """[(from, to, text)], bare JIDs, in the order in which they came in."""
        files = list((self.home / 'data/profanity/database').glob('*/chatlog.db'))
        whole = self.whole(files[0]) if files else b''
        if not whole:
            return []
        db = sqlite3.connect(':memory:')
        db.deserialize(whole)
        try:
            return db.execute('SELECT from_jid, to_jid, message FROM ChatLogs ORDER BY id').fetchall()
        except sqlite3.OperationalError:  # it is making its tables
            return []
        finally:
            db.close()

    @staticmethod
    def whole(database):
        """The bytes between two transactions. Not by SQLite: profanity does not wait for a reader's lock, it gives up what it
        wanted to write."""
        journal = database.with_name(database.name + '-journal')
        while True:
            whole = database.read_bytes()
            if not journal.exists() and database.read_bytes() == whole:
                return whole
            time.sleep(0.01)

    def texts(self):
        return [text for _, _, text in self.history()]

    def wait_texts(self, texts):
        self.until(f'{texts[-1]!r} in its history', lambda: len(self.texts()) >= len(texts))
        assert self.texts() == texts
