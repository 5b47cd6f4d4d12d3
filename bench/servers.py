"""The servers that bench/run.py measures: ours in every placement and their peers, each on loopback ports of its own, with a
configuration and data of its own in a temporary directory."""
import gzip
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import tempfile
import time
from pathlib import Path

import archives
import federation  # noqa: F401  makes the modules of tests/ known, too
from postgres import Postgres

ROOT = Path(__file__).resolve().parent.parent
DOMAIN = 'bench.test'
ROWS_IN_ARCHIVE = 1000000
OURS_ALONE = 'what is asked is whether our own cost grows'
NO_XMPP = 'it knows no XMPP'


def run(command, **more):
    return subprocess.run(command, check=True, capture_output=True, text=True, **more).stdout


def wait_port(port, process, seconds=60):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if process.poll() is not None:
            raise RuntimeError(f'{process.args[0]} ended with exit code {process.returncode}')
        try:
            socket.create_connection(('127.0.0.1', port), 1).close()
            return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError(f'nothing listens on port {port} after {seconds} s')


def installed(package):
    status = subprocess.run(['dpkg-query', '-W', '-f', '${db:Status-Abbrev}', package], capture_output=True, text=True)
    return status.stdout.startswith('ii')


class Server:
    """One server under test. `start` leaves processes whose threads are all counted."""
    mechanism = 'SCRAM-SHA-1'
    raw = False
    register_options = []
    package = None
    needs = ()  # further packages
    without = {}  # measure -> why this server has none
    tries = 2
    repeat = 1  # a figure is the median of so many runs: a peer's is ten times ours
    rosters = False  # long rosters are there from the beginning

    def __init__(self, port, build, domain=DOMAIN):
        """`other` and `names`: the server it speaks with, and the DNS that both are in, when it does. `archive`: whether it keeps one."""
        self.port, self.s2s_port, self.domain = port, port + 3, domain
        self.other = self.names = None
        self.archive = False
        self.build = Path(build)
        self.dir = Path(tempfile.mkdtemp(prefix=f'bench-{self.name}-'))
        self.processes = []

    def version(self):
        return run(['dpkg-query', '-W', '-f', '${Version}', self.package])

    def spawn(self, command, **more):
        if self.names:
            command = self.names.seen_by(command)
        with open(self.dir / f'{len(self.processes)}.log', 'ab') as log:
            process = subprocess.Popen([str(c) for c in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                       start_new_session=True, **more)
        self.processes.append(process)
        return process

    def prepare(self):
        """Once: certificate, database."""

    def fill(self):
        """An archive of u0 with ROWS_IN_ARCHIVE messages, while the server is stopped: by the wire it would take minutes."""

    def certificate(self):
        key, cert = self.dir / 'key.pem', self.dir / 'cert.pem'
        run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '30',
             '-subj', f'/CN={self.domain}', '-addext', f'subjectAltName=DNS:{self.domain}', '-keyout', key, '-out', cert])
        both = self.dir / 'both.pem'
        both.write_text(key.read_text() + cert.read_text())
        return key, cert, both

    def pids(self):
        """Every process below those started: a shell or a launcher does not hide the server."""
        found, todo = [], [p.pid for p in self.processes]
        while todo:
            pid = todo.pop()
            found.append(pid)
            try:
                todo += [int(c) for c in Path(f'/proc/{pid}/task/{pid}/children').read_text().split()]
            except OSError:
                pass
        return found

    def stop(self):
        for process in reversed(self.processes):
            process.send_signal(signal.SIGTERM)
        for process in reversed(self.processes):
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                pass
            try:  # what it has left behind, all of it in the session that it was started in
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            process.wait()
        self.processes = []

    def remove(self):
        shutil.rmtree(self.dir, ignore_errors=True)


class Jackdaw(Server):
    name = 'jackdaw'
    repeat = 3
    register_options = ['--tls']  # it takes no password in the clear

    def version(self):
        commit = run(['git', 'rev-parse', '--short', 'HEAD'], cwd=ROOT).strip()
        return f'this tree, {commit}'

    def placement(self):
        return ['router.port=0']

    def start(self):
        settings = ['c2s.address=127.0.0.1', f'c2s.port={self.port}', 'c2s.tls_port=0', 'c2s.tls=optional',
                    'c2s.max_per_address=0', 'c2s.rate=0', 'register.rate=0', 'log.level=warning',
                    f'archive.enabled={str(self.archive).lower()}', 'archive.max_size=0', *self.placement()]
        if self.other:
            settings += ['s2s.enabled=true', 's2s.address=127.0.0.1', f's2s.port={self.s2s_port}', 's2s.max_per_address=0',
                         's2s.rate=0', 's2s.message_rate=0',
                         's2s.require_certificate=false', f's2s.hosts={self.other.domain}=127.0.0.1:{self.other.s2s_port}']
        else:
            settings += ['s2s.enabled=false']
        command = [self.build / 'jackdaw', 'serve', '--data', self.dir / 'data', '--domain', self.domain]
        for setting in settings:
            command += ['--set', setting]
        wait_port(self.port, self.spawn(command))

    def fill(self):
        archives.fill_sqlite(self.dir / 'data/sm/jackdaw.db', archives.jackdaw(self.domain, ROWS_IN_ARCHIVE))


class JackdawPostgres(Jackdaw):
    """One process on PostgreSQL, whose processes are counted. It waits for its disk, as SQLite does."""
    name = 'jackdaw-postgres'
    repeat = 2
    without = dict.fromkeys(('idle', 'idle-tls', 'message-tls', 'message-crowd', 'message-s2s', 'carbons', 'message-privacy', 'ping',
                             'fanout', 'fanout-1000'), 'the database has no part in it')

    def prepare(self):
        self.database = Postgres()
        self.database.start('fsync=on')
        self.url = self.database.database()

    def placement(self):
        return ['router.port=0', f'store.url={self.url}']

    def pids(self):
        return super().pids() + self.database.processes()

    def fill(self):
        self.database.sql('SET search_path TO jackdaw_users; ' + archives.jackdaw(self.domain, ROWS_IN_ARCHIVE), self.url)
        self.database.sql('VACUUM ANALYZE jackdaw_users.mam', self.url)  # autovacuum, which would do it, is off

    def remove(self):
        if hasattr(self, 'database'):
            self.database.remove()
        super().remove()


ONE_PROCESS = dict.fromkeys(('idle', 'idle-tls', 'store', 'deliver', 'roster', 'fanout-1000', 'message-privacy', 'message-crowd',
                             'message-s2s', 'archive', 'archive-8', 'mam-page'), 'measured in one process, the first column')


class JackdawThreads(Jackdaw):
    """Two loops in one process: half of the messages cross from one to the other."""
    name = 'jackdaw-threads'
    repeat = 1
    without = ONE_PROCESS

    def placement(self):
        return ['server.placement=threads', 'server.threads=2', 'router.port=0', 's2s.enabled=false']


class JackdawProcesses(Jackdaw):
    """Five processes over TCP, as jabberd2's four."""
    name = 'jackdaw-processes'
    without = ONE_PROCESS

    def placement(self):
        return ['server.placement=processes', 'router.address=127.0.0.1', f'router.port={self.port + 1}', 's2s.enabled=true',
                's2s.address=127.0.0.1', f's2s.port={self.s2s_port}']


class Prosody(Server):
    name = package = 'prosody'
    needs = ('lua-dbi-sqlite3',)  # its archive in SQLite
    rosters = True  # each change writes the whole roster: filling them by the wire would take minutes
    without = {'message-privacy': 'it has no privacy lists any more', 'message-crowd': OURS_ALONE}

    def prepare(self):
        self.key_and_certificate = self.certificate()[:2]
        (self.dir / 'data').mkdir()
        self.fill_rosters()

    def fill_rosters(self):
        folder = self.dir / 'data' / self.domain.replace('.', '%2e') / 'roster'
        folder.mkdir(parents=True)
        items = {'r0': [(f'contact{i}@elsewhere.test', f'Contact number {i}', 'none') for i in range(1000)],
                 'c0': [(f'c{i}@{self.domain}', '', 'both') for i in range(1, 1001)],
                 **{f'c{i}': [(f'c0@{self.domain}', '', 'both')] for i in range(1, 1001)}}
        for user, contacts in items.items():
            lines = ''.join(f'["{jid}"] = {{ name = "{name}"; subscription = "{subscription}"; groups = {{ Friends = true }} }};\n'
                            for jid, name, subscription in contacts)
            (folder / f'{user}.dat').write_text(f'return {{ [false] = {{ version = 1 }};\n{lines}}};\n')

    def start(self):
        key, cert = self.key_and_certificate
        # Its own files hold 10,000 messages of an account at most, and are read whole for each page.
        archive = '''storage = { archive = "sql" }
sql = { driver = "SQLite3", database = "prosody.sqlite" }
archive_expires_after = "never"
default_archive_policy = true''' if self.archive else ''
        (self.dir / 'prosody.cfg.lua').write_text(f'''
run_as_root = true
pidfile = "{self.dir}/prosody.pid"
data_path = "{self.dir}/data"
certificates = "{self.dir}"
log = {{ error = "{self.dir}/prosody.log" }}
modules_enabled = {{ "roster", "saslauth", "tls", "dialback", "disco", "ping", "register_ibr", "carbons", "smacks"{', "mam"' if self.archive else ''} }}
modules_disabled = {{ {'"s2s_auth_dane"' if self.other else '"s2s"'} }}
s2s_secure_auth = false
allow_registration = true
c2s_require_encryption = false
authentication = "internal_hashed"
default_storage = "internal"
{archive}
interfaces = {{ "127.0.0.1" }}
c2s_ports = {{ {self.port} }}
s2s_ports = {{ {self.s2s_port if self.other else ''} }}
c2s_direct_tls_ports = {{ }}
VirtualHost "{self.domain}"
ssl = {{ key = "{key}", certificate = "{cert}" }}
''')
        wait_port(self.port, self.spawn(['prosody', '-F', '--config', self.dir / 'prosody.cfg.lua']))

    def fill(self):
        archives.fill_sqlite(self.dir / 'data/prosody.sqlite', archives.prosody(self.domain, ROWS_IN_ARCHIVE))


class Ejabberd(Server):
    name = package = 'ejabberd'
    needs = ('erlang-p1-sqlite3',)
    without = {'message-crowd': OURS_ALONE}

    def prepare(self):
        self.both = self.certificate()[2]
        (self.dir / 'spool').mkdir()
        database = sqlite3.connect(self.dir / 'ejabberd.db')
        database.executescript(Path('/usr/share/ejabberd/sql/lite.sql').read_text())
        database.close()

    def start(self):
        s2s = f'''
  - port: {self.s2s_port}
    ip: "127.0.0.1"
    module: ejabberd_s2s_in
    max_stanza_size: 262144''' if self.other else ''
        # Mnesia keeps an account's archive under one key of a file of 2 GB at most: it is not made for a million messages.
        archive, sql = ('\n  mod_mam: { db_type: sql, default: always }',
                        f'\nsql_type: sqlite\nsql_database: "{self.dir}/ejabberd.db"') if self.archive else ('', '')
        (self.dir / 'ejabberd.yml').write_text(f'''
hosts: ["{self.domain}"]
loglevel: error
certfiles: ["{self.both}"]{sql}
listen:
  - port: {self.port}
    ip: "127.0.0.1"
    module: ejabberd_c2s
    starttls: true
    starttls_required: false
    max_stanza_size: 262144
    access: all{s2s}
s2s_use_starttls: required
auth_method: internal
auth_password_format: scram
registration_timeout: infinity
acl: {{ local: {{ user_regexp: "" }} }}
access_rules:
  register: {{ allow: all }}
modules:
  mod_carboncopy: {{}}
  mod_disco: {{}}{archive}
  mod_offline: {{}}
  mod_ping: {{}}
  mod_privacy: {{}}
  mod_register: {{ access: register, access_from: all, ip_access: all }}
  mod_roster: {{}}
  mod_s2s_dialback: {{}}
  mod_stream_mgmt: {{}}
''')
        env = dict(os.environ, ERL_LIBS='/usr/lib/x86_64-linux-gnu', EJABBERD_CONFIG_PATH=str(self.dir / 'ejabberd.yml'),
                   EJABBERD_LOG_PATH=str(self.dir / 'ejabberd.log'), SPOOL_DIR=str(self.dir / 'spool'),
                   ERL_CRASH_DUMP='/dev/null', HOME=str(self.dir))
        # As ejabberdctl starts it, but on one node without distribution: nothing but our port is opened.
        wait_port(self.port, self.spawn(
            ['erl', '+K', 'true', '+P', '250000', '-noinput', '-mnesia', 'dir', f'"{self.dir}/spool"', '-s', 'ejabberd'],
            env=env))

    def fill(self):
        archives.fill_sqlite(self.dir / 'ejabberd.db', archives.ejabberd(self.domain, ROWS_IN_ARCHIVE))


class Jabberd2(Server):
    name = package = 'jabberd2'
    mechanism = 'PLAIN'  # over both: its SCRAM comes from libgsasl and derives the keys at every login
    without = {'carbons': 'it has no carbons', 'resume': 'it has no XEP-0198', 'resume-time': 'it has no XEP-0198',
               'archive': 'it has no archive', 'archive-8': 'it has no archive', 'mam-page': 'it has no archive',
               'message-s2s': 'its s2s closes its connections over TLS by itself', 'message-crowd': OURS_ALONE}
    tries = 3

    def change(self, name, *pairs):
        text = Path(f'/etc/jabberd2/{name}.xml').read_text()
        text = re.sub(r'<!--.*?-->', '', text, flags=re.S)
        for old, new in (('/var/run/jabberd2', str(self.dir)), ('/var/log/jabberd2', str(self.dir)),
                         ('/var/lib/jabberd2', str(self.dir)), ('/etc/jabberd2/router', f'{self.dir}/router'),
                         ('0.0.0.0', '127.0.0.1'), ('localhost.localdomain', self.domain),
                         ('<port>5347</port>', f'<port>{self.port + 1}</port>'),
                         ('<max_fds>1024</max_fds>', '<max_fds>16384</max_fds>'),
                         ('<stanzas>1000</stanzas>', '<stanzas>0</stanzas>'), *pairs):
            text = text.replace(old, new)
        (self.dir / f'{name}.xml').write_text(text)

    def prepare(self):
        _, _, both = self.certificate()
        self.change('router')
        self.change('sm')
        self.change('c2s', ('<port>5222</port>', f'<port>{self.port}</port>'),
                    ("<id register-enable='mu'>", f"<id register-enable='mu' pemfile='{both}'>"))
        for name in ('router-users.xml', 'router-filter.xml'):
            shutil.copy(f'/etc/jabberd2/{name}', self.dir / name)
        with gzip.open('/usr/share/doc/jabberd2/db-setup.sqlite.gz', 'rt') as schema:
            sqlite3.connect(self.dir / 'sqlite.db').executescript(schema.read())

    def start(self):
        wait_port(self.port + 1, self.spawn(['jabberd2-router', '-c', self.dir / 'router.xml']))
        self.spawn(['jabberd2-sm', '-c', self.dir / 'sm.xml'])
        wait_port(self.port, self.spawn(['jabberd2-c2s', '-c', self.dir / 'c2s.xml']))
        time.sleep(3)


class Relay(Server):
    """The physical limit."""
    name = 'relay'
    raw = True

    def version(self):
        return 'bench/relay.c'

    def start(self):
        wait_port(self.port, self.spawn([self.build / 'bench/relay', self.port]))


SERVERS = [Jackdaw, JackdawPostgres, JackdawThreads, JackdawProcesses, Prosody, Ejabberd, Jabberd2, Relay]
