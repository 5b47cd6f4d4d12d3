#!/usr/bin/env python3
"""What Jackdaw costs, beside its peers and beside the physical limit.

    bench/run.py [--build DIR] [--servers jackdaw,prosody,ejabberd,jabberd2,relay] [--only message,login ...]

Every server is started by this script on loopback ports of its own, with a configuration of its own in a temporary
directory, driven by the same load generator (load.c), and measured in processor time of all its threads and in
proportional set size. A run over all servers and all measures writes docs/performance.md; any other only prints.
"""
import argparse
import datetime
import gzip
import json
import os
import platform
import re
import shutil
import signal
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import federation  # makes the modules of tests/ known, too
from postgres import Postgres

ROOT = Path(__file__).resolve().parent.parent
DOMAIN = 'bench.test'
# Below those that the kernel gives to connections: one of these could hold a server's port.
PORT, PAIRED_PORT = 27100, 27200
ACCOUNTS = {'u': 1, 'f': 101, 'o': 60, 'r': 1, 'c': 1001}  # prefix -> how many; u is set from --sessions
MARK = '<!-- from here on written by bench/run.py -->'


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


def install_peers(packages):
    """From Debian, without starting their services: a policy-rc.d of ours stands there during the installation."""
    missing = [p for p in packages if not installed(p)]
    if not missing:
        return
    policy = Path('/usr/sbin/policy-rc.d')
    ours = not policy.exists()
    sudo = [] if os.geteuid() == 0 else ['sudo']
    if ours:
        subprocess.run([*sudo, 'sh', '-c', f'printf "#!/bin/sh\\nexit 101\\n" >{policy} && chmod 755 {policy}'], check=True)
    try:
        subprocess.run([str(ROOT / 'tools/deps.sh'), 'bench'], check=True)
    finally:
        if ours:
            subprocess.run([*sudo, 'rm', '-f', str(policy)], check=True)


class Server:
    """One server under test. `start` leaves processes whose threads are all counted."""
    mechanism = 'SCRAM-SHA-1'
    raw = tls = False
    register_options = []
    package = None
    skips = ()  # measures
    federates = False

    def __init__(self, port, build, domain=DOMAIN):
        """`other` and `names`: the server it speaks with, and the DNS that both are in, when it does."""
        self.port, self.s2s_port, self.domain = port, port + 3, domain
        self.other = self.names = None
        self.build = Path(build)
        self.dir = Path(tempfile.mkdtemp(prefix=f'bench-{self.name}-'))
        self.processes = []

    def version(self):
        return run(['dpkg-query', '-W', '-f', '${Version}', self.package])

    def spawn(self, command, **more):
        log = open(self.dir / f'{len(self.processes)}.log', 'ab')
        if self.names:
            command = self.names.seen_by(command)
        process = subprocess.Popen([str(c) for c in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log, **more)
        self.processes.append(process)
        return process

    def prepare(self):
        """Once: configuration and certificate."""

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
                process.kill()
                process.wait()
        self.processes = []

    def remove(self):
        shutil.rmtree(self.dir, ignore_errors=True)


class Jackdaw(Server):
    name = 'jackdaw'
    tls = federates = True
    register_options = ['--tls']  # it takes no password in the clear

    def version(self):
        commit = run(['git', 'rev-parse', '--short', 'HEAD'], cwd=ROOT).strip()
        return f'this tree, {commit}'

    def placement(self):
        return ['router.port=0']

    def start(self):
        settings = ['c2s.address=127.0.0.1', f'c2s.port={self.port}', 'c2s.tls_port=0', 'c2s.tls=optional',
                    'c2s.max_per_address=0', 'c2s.rate=0', 'register.rate=0', 'log.level=warning',
                    'archive.enabled=false', *self.placement()]  # the peers keep no archive either
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


class JackdawPostgres(Jackdaw):
    """One process on PostgreSQL, whose processes are counted. It waits for its disk, as SQLite does."""
    name = 'jackdaw-postgres'
    federates = False
    skips = ('idle', 'idle-tls', 'message', 'message-8', 'message-tls', 'carbons', 'message-privacy', 'ping', 'fanout', 'fanout-1000')

    def prepare(self):
        self.database = Postgres()
        self.database.start('fsync=on')
        self.url = self.database.database()

    def placement(self):
        return ['router.port=0', f'store.url={self.url}']

    def pids(self):
        return super().pids() + self.database.processes()

    def remove(self):
        self.database.remove()
        super().remove()


class JackdawThreads(Jackdaw):
    """Two loops in one process: half of the messages cross from one to the other."""
    name = 'jackdaw-threads'
    federates = False
    skips = ('idle', 'idle-tls', 'store', 'deliver', 'roster', 'fanout-1000', 'message-privacy')

    def placement(self):
        return ['server.placement=threads', 'server.threads=2', 'router.port=0', 's2s.enabled=false']


class JackdawProcesses(Jackdaw):
    """Five processes over TCP, as jabberd2's four."""
    name = 'jackdaw-processes'
    federates = False
    skips = ('idle', 'idle-tls', 'store', 'deliver', 'roster', 'fanout-1000', 'message-privacy')

    def placement(self):
        return ['server.placement=processes', 'router.address=127.0.0.1', f'router.port={self.port + 1}', 's2s.enabled=true',
                's2s.address=127.0.0.1', f's2s.port={self.s2s_port}']


class Prosody(Server):
    name = package = 'prosody'
    tls = federates = True
    skips = ('message-privacy',)  # it has no privacy lists any more

    def prepare(self):
        key, cert, _ = self.certificate()
        (self.dir / 'prosody.cfg.lua').write_text(f'''
run_as_root = true
pidfile = "{self.dir}/prosody.pid"
data_path = "{self.dir}/data"
certificates = "{self.dir}"
log = {{ error = "{self.dir}/prosody.log" }}
modules_enabled = {{ "roster", "saslauth", "tls", "dialback", "disco", "ping", "register_ibr", "carbons" }}
modules_disabled = {{ {'"s2s_auth_dane"' if self.other else '"s2s"'} }}
s2s_secure_auth = false
allow_registration = true
c2s_require_encryption = false
authentication = "internal_hashed"
storage = "internal"
interfaces = {{ "127.0.0.1" }}
c2s_ports = {{ {self.port} }}
s2s_ports = {{ {self.s2s_port if self.other else ''} }}
c2s_direct_tls_ports = {{ }}
VirtualHost "{self.domain}"
ssl = {{ key = "{key}", certificate = "{cert}" }}
''')
        (self.dir / 'data').mkdir()

    def start(self):
        wait_port(self.port, self.spawn(['prosody', '-F', '--config', self.dir / 'prosody.cfg.lua']))


class Ejabberd(Server):
    name = package = 'ejabberd'
    tls = federates = True

    def prepare(self):
        _, _, both = self.certificate()
        s2s = f'''
  - port: {self.s2s_port}
    ip: "127.0.0.1"
    module: ejabberd_s2s_in
    max_stanza_size: 262144''' if self.other else ''
        (self.dir / 'ejabberd.yml').write_text(f'''
hosts: ["{self.domain}"]
loglevel: error
certfiles: ["{both}"]
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
  mod_disco: {{}}
  mod_offline: {{}}
  mod_ping: {{}}
  mod_privacy: {{}}
  mod_register: {{ access: register, access_from: all, ip_access: all }}
  mod_roster: {{}}
  mod_s2s_dialback: {{}}
''')
        (self.dir / 'spool').mkdir()

    def start(self):
        env = dict(os.environ, ERL_LIBS='/usr/lib/x86_64-linux-gnu', EJABBERD_CONFIG_PATH=str(self.dir / 'ejabberd.yml'),
                   EJABBERD_LOG_PATH=str(self.dir / 'ejabberd.log'), SPOOL_DIR=str(self.dir / 'spool'),
                   ERL_CRASH_DUMP='/dev/null', HOME=str(self.dir))
        # As ejabberdctl starts it, but on one node without distribution: nothing but our port is opened.
        wait_port(self.port, self.spawn(
            ['erl', '+K', 'true', '+P', '250000', '-noinput', '-mnesia', 'dir', f'"{self.dir}/spool"', '-s', 'ejabberd'],
            env=env))


class Jabberd2(Server):
    name = package = 'jabberd2'
    mechanism = 'PLAIN'  # over both: its SCRAM comes from libgsasl and derives the keys at every login
    tls = True
    skips = ('carbons',)

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
        schema = gzip.open('/usr/share/doc/jabberd2/db-setup.sqlite.gz', 'rt').read()
        sqlite3.connect(self.dir / 'sqlite.db').executescript(schema)

    def start(self):
        wait_port(self.port + 1, self.spawn(['jabberd2-router', '-c', self.dir / 'router.xml']))
        self.spawn(['jabberd2-sm', '-c', self.dir / 'sm.xml'])
        wait_port(self.port, self.spawn(['jabberd2-c2s', '-c', self.dir / 'c2s.xml']))
        time.sleep(3)


class Relay(Server):
    name = 'relay'
    raw = True

    def version(self):
        return 'bench/relay.c'

    def start(self):
        wait_port(self.port, self.spawn([self.build / 'bench/relay', self.port]))


SERVERS = [Jackdaw, JackdawPostgres, JackdawThreads, JackdawProcesses, Prosody, Ejabberd, Jabberd2, Relay]

# key -> (title, unit, aim, needs TLS, load command and options, field of its answer)
MEASURES = {
    'idle': ('memory of an idle session', 'KB', 6, False, ['idle', '--count', '{sessions}'], 'bytes_per_session'),
    'idle-tls': ('the same with TLS', 'KB', 22, True, ['idle', '--tls', '--count', '{sessions}'], 'bytes_per_session'),
    'login': ('login', 'us', 200, False, ['login', '--count', '500'], 'us_per_login'),
    'login-tls': ('login with TLS', 'us', 700, True, ['login', '--tls', '--count', '500'], 'us_per_login'),
    'message': ('1:1 message, one in flight on each of 50 pairs', 'us', 12, False, ['message', '--count', '50'],
                'us_per_message'),
    'message-8': ('1:1 message, eight in flight', 'us', 4, False, ['message', '--count', '50', '--window', '8'],
                  'us_per_message'),
    'message-tls': ('1:1 message over TLS, one in flight', 'us', 20, True, ['message', '--tls', '--count', '50'],
                    'us_per_message'),
    'message-privacy': ('1:1 message, each with a privacy list of 500 items that do not match', 'us', None, False,
                        ['message', '--count', '50', '--privacy', '500'], 'us_per_message'),
    'message-s2s': ('1:1 message to another server of the kind, over TLS with dialback; both servers together', 'us', 24, True,
                    ['message', '--count', '50'], 'us_per_message'),
    'carbons': ('1:1 message with copies to three devices, one in flight on each of 50 pairs', 'us', 30, False,
                ['carbons', '--count', '50'], 'us_per_message'),
    'ping': ('ping IQ', 'us', 10, False, ['ping', '--count', '50'], 'us_per_ping'),
    'fanout': ('presence to 100 contacts, each', 'us', 3, False,
               ['fanout', '--prefix', 'f', '--count', '100', '--rounds', '300'], 'us_per_presence'),
    'fanout-1000': ('presence to 1,000 contacts, each', 'us', None, False,
                    ['fanout', '--prefix', 'c', '--count', '1000', '--rounds', '20'], 'us_per_presence'),
    'roster': ('login and a roster of 1,000 items', 'us', None, False,
               ['roster', '--prefix', 'r', '--count', '1000', '--rounds', '20'], 'us_per_roster'),
    'store': ('offline message stored', 'us', 30, False, ['offline', '--prefix', 'o', '--count', '50', '--each', '80'],
              'us_per_stored'),
    'deliver': ('offline message delivered', 'us', 10, False, None, 'us_per_delivered'),
}
ONCE = ('store', 'deliver', 'fanout-1000', 'message-privacy', 'roster')  # what they set up stays, or takes long
FRESH = ('idle', 'idle-tls')  # memory is measured on a server that has done nothing else
PAIRED = 'message-s2s'


def load(server, options, build, command):
    pids = server.pids() + (server.other.pids() if server.other else [])
    full = [str(Path(build) / 'bench/load'), *command, '--port', str(server.port), '--domain', server.domain, '--mechanism',
            server.mechanism, '--pids', ','.join(map(str, pids))]
    if server.other:
        full += ['--far-port', str(server.other.port), '--far-domain', server.other.domain]
    if server.raw:
        full.append('--raw')
        if command[0] == 'fanout':
            full[full.index('--port') + 1] = str(server.port + 1)
    full = [c.format(sessions=options.sessions) for c in full]
    done = subprocess.run(full, capture_output=True, text=True, timeout=600)
    if done.returncode:
        raise RuntimeError(f'{" ".join(command)}: {done.stderr.strip()}')
    return json.loads(done.stdout)


def measure(server, options, key):
    command, field = MEASURES[key][4:]
    values = []
    extra = {}
    for _ in range(1 if key in FRESH or key in ONCE else options.repeat):
        answer = load(server, options, options.build, command)
        values.append(answer[field])
        if key == 'store':
            extra['deliver'] = answer['us_per_delivered']
    value = statistics.median(values)
    return {key: value / 1024 if MEASURES[key][1] == 'KB' else value, **extra}


def wanted_of(server, options):
    keys = [k for k in MEASURES if k in options.only and k != 'deliver' and k not in server.skips]
    if not server.federates:
        keys = [k for k in keys if k != PAIRED]
    if server.raw:
        keys = [k for k in keys if k in ('message', 'message-8', 'fanout')]
    return keys


def attempt(server, options, key, results):
    for left in (2, 1, 0):
        # jabberd2 ends new streams that get the file descriptor of one just closed (its session key): a pause helps.
        time.sleep(1)
        try:
            found = measure(server, options, key)
        except (RuntimeError, subprocess.TimeoutExpired) as e:
            if not left:
                print(f'  {MEASURES[key][0]:50} failed: {e}', flush=True)
            continue
        results.update(found)
        for name, value in found.items():
            print(f'  {MEASURES[name][0]:50} {value:10.2f} {MEASURES[name][1]}', flush=True)
        return


def accounts(server, options, prefixes):
    for prefix in prefixes:
        load(server, options, options.build, ['register', '--prefix', prefix, '--count', str(ACCOUNTS[prefix]),
                                              *server.register_options])


def bench_alone(server, options, keys, results):
    try:
        server.prepare()
        if not server.raw:
            server.start()
            accounts(server, options, ACCOUNTS)
            server.stop()
        for key in [k for k in keys if k in FRESH]:
            server.start()
            attempt(server, options, key, results)
            server.stop()
        server.start()
        for key in [k for k in keys if k not in FRESH]:
            attempt(server, options, key, results)
    finally:
        finish(server, options)


def bench_paired(cls, options, results):
    """Two of a kind, that find each other by DNS (ours by its configuration)."""
    pair = [cls(PAIRED_PORT + 10 * i, options.build, f's{i}.{DOMAIN}') for i in range(2)]
    names = federation.Names(pair) if cls.package else None
    try:
        for server, other in (pair, reversed(pair)):
            server.other, server.names = other, names
            server.prepare()
            server.start()
        for server in pair:
            other, server.other = server.other, None
            accounts(server, options, 'u')
            server.other = other
        attempt(pair[0], options, PAIRED, results)
    finally:
        for server in pair:
            finish(server, options)
        if names:
            names.close()


def finish(server, options):
    server.stop()
    if not options.keep:
        server.remove()


def bench(server, options):
    """All measures of one server: {key: value}."""
    results = {}
    keys = wanted_of(server, options)
    alone = [k for k in keys if k != PAIRED]
    if alone:
        bench_alone(server, options, alone, results)
    if PAIRED in keys and (options.network or not server.package):
        bench_paired(type(server), options, results)
    return results


def machine():
    model = re.search(r'model name\s*:\s*(.*)', Path('/proc/cpuinfo').read_text())
    return f'{os.cpu_count()} x {model[1] if model else platform.machine()}, Linux {platform.release()}, loopback'


def table(results, servers):
    lines = ['| server CPU (all threads), memory | aim | ' + ' | '.join(s.name for s in servers) + ' |',
             '|---|---|' + '---|' * len(servers)]
    for key, (title, unit, aim, *_) in MEASURES.items():
        cells = []
        for server in servers:
            value = results[server.name].get(key)
            cells.append('-' if value is None else f'{value:.1f}')
        lines.append(f'| {title}, {unit} | {aim or "-"} | ' + ' | '.join(cells) + ' |')
    return '\n'.join(lines)


def bench_storage(build):
    """The storage alone (bench_store.c) on both databases: a table. PostgreSQL's processes are counted apart."""
    database = Postgres()
    folder = Path(tempfile.mkdtemp(prefix='bench-store-'))
    lines = ['| storage alone | waiting | SQLite, us | SQLite, a second | PostgreSQL, us (client alone) | PostgreSQL, a second |',
             '|---|---|---|---|---|---|']
    try:
        database.start('fsync=on')
        both = [re.findall(r'^(\D[^ ]*(?: [^ ]+)*?) +window +(\d+) .*? ([\d.]+) us CPU each +(\d+) a second',
                           run([Path(build) / 'bench/bench_store', where, '4000']), re.M)
                for where in (folder / 'store.db', database.database())]
    finally:
        database.remove()
        shutil.rmtree(folder, ignore_errors=True)
    for (what, window, cpu, rate), (_, _, far_cpu, far_rate) in zip(*both):
        lines.append(f'| {what} | {window} | {cpu} | {rate} | {far_cpu} | {far_rate} |')
    return '\n'.join(lines)


def write_document(text, servers):
    path = ROOT / 'docs/performance.md'
    before = path.read_text().split(MARK)[0] if path.exists() else '# Performance\n\n'
    versions = '\n'.join(f'- {s.name}: {s.version()}, logins by {s.mechanism}' if not s.raw else
                         f'- {s.name}: {s.version()}' for s in servers)
    path.write_text(f'''{before}{MARK}

Made by `make bench` on {datetime.date.today()}; {machine()}. All servers in one run, one after the other, each driven by
the same load generator on the same machine.

{versions}

{text}

CPU is the time of all threads of all processes of the server, system calls included, by the scheduler's own account
(/proc/PID/task/*/schedstat). On loopback the sender of a packet also pays for its reception. Memory is the growth of the
proportional set size for each further session that has sent presence; the kernel's socket memory (4 KB each) is not in it.
jackdaw-processes is the same program as five processes over TCP (aim: 35 us a message); the other columns of jackdaw are one
process. A message to another server costs both servers, which are two of a kind on this machine.
The relay only moves the bytes from one socket to the other, or for presence from one to a hundred: no server can cost
less.
''')


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--build', default=str(ROOT / 'build'))
    parser.add_argument('--servers', default=','.join(s.name for s in SERVERS))
    parser.add_argument('--only', default=','.join(MEASURES), help='of: ' + ' '.join(MEASURES))
    parser.add_argument('--sessions', type=int, default=1000, help='idle sessions')
    parser.add_argument('--repeat', type=int, default=3, help='the median of so many')
    parser.add_argument('--keep', action='store_true', help='leave the servers\' directories')
    options = parser.parse_args()
    options.only = options.only.split(',')
    names = options.servers.split(',')
    for name in options.only + names:
        if name not in MEASURES and name not in [s.name for s in SERVERS]:
            parser.error(f'no server or measure "{name}"')
    chosen = [s for s in SERVERS if s.name in names]
    ACCOUNTS['u'] = max(500, options.sessions if any(k in options.only for k in FRESH) else 0)
    install_peers([s.package for s in chosen if s.package])
    options.network = federation.own_network()
    if not options.network:
        print('Not root: of other servers none is measured with another, since that needs a DNS server of its own.', flush=True)
    servers, results = [], {}
    for i, cls in enumerate(chosen):
        server = cls(PORT + 10 * i, options.build)
        servers.append(server)
        print(f'{server.name} ({server.version()})', flush=True)
        try:
            results[server.name] = bench(server, options)
        except (RuntimeError, OSError, subprocess.SubprocessError) as e:
            print(f'  {server.name}: {e}', file=sys.stderr)
            results[server.name] = {}
    text = table(results, servers)
    if 'store' in options.only and 'jackdaw' in names:
        text += '\n\n' + bench_storage(options.build)
    print('\n' + text)
    if len(chosen) == len(SERVERS) and set(options.only) == set(MEASURES):
        write_document(text, servers)
        print(f'\nwritten to docs/performance.md')
    return 0 if all(results.values()) else 1


if __name__ == '__main__':
    sys.exit(main())
