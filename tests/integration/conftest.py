"""Integration tests: the real program on real sockets, driven by clients we did not write (slixmpp) and by raw bytes.

    python3 -m pytest tests/integration                      every placement, build/jackdaw
    python3 -m pytest tests/integration --placement inline   one of them
    python3 -m pytest tests/integration --database postgres  everything over PostgreSQL
    JACKDAW=/tmp/x/jackdaw python3 -m pytest ...             another binary

`server` is shared by the tests of a file, `own_server` belongs to one test, which may break it.

Run by root, the tests and all they start have a network of their own (a namespace with nothing but loopback): they disturb
nobody, nobody disturbs them, and a test may have any port, DNS's 53 too. JACKDAW_TEST_NETWORK=host leaves them where they are.
"""
import ctypes
import fcntl
import json
import os
import random
import signal
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

from raw import WAIT, Raw

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / 'tests'))
from postgres import Postgres  # noqa: E402
JACKDAW = os.environ.get('JACKDAW', str(ROOT / 'build/jackdaw'))
DOMAIN = 'jackdaw.test'
PASSWORD = 'correct horse'


def own_network():
    """Enters a new network namespace and sets its loopback up."""
    clone_newnet, set_flags, up = 0x40000000, 0x8914, 0x49  # sched.h, sockios.h; UP | LOOPBACK | RUNNING
    if os.geteuid() != 0 or os.environ.get('JACKDAW_TEST_NETWORK') == 'host':
        return
    if ctypes.CDLL(None, use_errno=True).unshare(clone_newnet) != 0:
        return  # a container without that right: the tests share its network
    with socket.socket() as s:
        fcntl.ioctl(s, set_flags, struct.pack('16sH14x', b'lo', up))


def pytest_configure(config):
    config.addinivalue_line('markers', "peers: most of its time is that of other people's servers (make sanitize leaves it out)")
    own_network()


# What takes longest begins first: a worker that comes to one of these last would let the others wait.
LONGEST = ['test_tables', 'test_store_faults', 'test_moving', 'test_peer_killed', 'test_threads', 'test_s2s', 'test_s2s_world']


def pytest_collection_modifyitems(items):
    place = {name: n for n, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path.stem, len(LONGEST)))


def need(program, package):
    """Skips where a program of Debian's is missing; `make test` installs them all (tools/deps.sh test)."""
    if not shutil.which(program, path=os.environ['PATH'] + ':/usr/sbin:/sbin'):
        pytest.skip(f'{program} is not here: apt-get install {package}')


def need_namespaces():
    """Skips where neither a network nor mounts of one's own are to be had."""
    done = subprocess.run(['unshare', '-n', '-m', 'true'], capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f'this needs root, and in a container CAP_SYS_ADMIN: {done.stderr.strip()}')


def pytest_addoption(parser):
    parser.addoption('--placement', default='all', choices=['all', 'one', 'inline', 'processes', 'threads'],
                     help='one: processes where a test knows them, else the only one it knows')
    parser.addoption('--database', choices=['sqlite', 'postgres'], help='default: what each file says')


class Placement(str):
    """'inline' or 'processes', with the kind of database beside it."""

    def __new__(cls, placement, database):
        self = super().__new__(cls, placement)
        self.database = database
        return self


_postgres = []


def postgres():
    """The PostgreSQL server of this run, started when it is first needed."""
    if not _postgres:
        _postgres.append(Postgres())
        _postgres[0].start()
    return _postgres[0]


def pytest_sessionfinish(session):
    for server in _postgres:
        server.remove()


def pytest_generate_tests(metafunc):
    if 'placement' in metafunc.fixturenames:
        chosen = metafunc.config.getoption('--placement')
        # Loops on threads of one process: where it says THREADS = True (and wherever asked for by name).
        most = ['inline', 'processes'] + ['threads'] * getattr(metafunc.module, 'THREADS', False)
        placements = most if chosen in ('all', 'one') else [chosen]
        # A file whose tests make sense in some placements only says so: PLACEMENTS = ['processes']
        able = getattr(metafunc.module, 'PLACEMENTS', placements)
        placements = [p for p in placements if p in able]
        if chosen == 'one':
            placements = ['processes'] if 'processes' in placements else placements[:1]
        # A file about what is stored runs over both databases: DATABASES = ['sqlite', 'postgres']
        database = metafunc.config.getoption('--database')
        databases = [database] if database else getattr(metafunc.module, 'DATABASES', ['sqlite'])
        metafunc.parametrize('placement', [Placement(p, d) for p in placements for d in databases],
                             ids=lambda p: p if p.database == 'sqlite' else f'{p}-{p.database}', scope='module')


# Of so many workers (pytest-xdist), which one we are: where they share a network, none may take what is another's.
WORKERS = int(os.environ.get('PYTEST_XDIST_WORKER_COUNT', '1'))
WORKER = int(os.environ.get('PYTEST_XDIST_WORKER', 'gw0').removeprefix('gw'))
# Below those that the kernel gives to connections: one of these could hold a server's port when the server comes back.
_ports = iter(random.sample(range(10000 + WORKER, 30000, WORKERS), 20000 // WORKERS))


def free_port():
    """A port nobody has and this run has not given out before."""
    while True:
        port = next(_ports)
        with socket.socket() as s:
            try:
                s.bind(('127.0.0.1', port))
            except OSError:
                continue
        return port


class Process:
    """One jackdaw process: its log is collected, `ready` awaited, and it is ended by its pid alone."""

    def __init__(self, arguments):
        self.arguments = arguments
        self.log = []
        self.ready = threading.Event()
        self.popen = subprocess.Popen([JACKDAW, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                      stderr=subprocess.PIPE, text=True, errors='replace')
        self.collectors = [threading.Thread(target=self._collect, args=(stream,), daemon=True)
                           for stream in (self.popen.stdout, self.popen.stderr)]
        for collector in self.collectors:
            collector.start()

    def _collect(self, stream):
        for line in stream:
            self.log.append(line.rstrip('\n'))
            if stream is self.popen.stdout and line.startswith('ready'):
                self.ready.set()

    def wait_ready(self, seconds=WAIT):
        until = time.monotonic() + seconds
        while not self.ready.wait(0.02):
            assert self.popen.poll() is None, f'{self.arguments[0]} ended with {self.popen.returncode}:\n' + self.text()
            assert time.monotonic() < until, f'{self.arguments[0]} is not ready after {seconds} s:\n' + self.text()

    def text(self):
        """The end of its log; all of it has been read when it has ended (a child may hold the pipe open: not for ever)."""
        if self.popen.poll() is not None:
            for collector in self.collectors:
                collector.join(1)
        return '\n'.join(self.log[-60:])

    def signal(self, number):
        self.popen.send_signal(number)

    def kill(self):
        self.popen.kill()
        self.popen.wait()

    def terminate(self, seconds=WAIT):
        """SIGTERM; returns the exit code."""
        if self.popen.poll() is None:
            self.popen.send_signal(signal.SIGTERM)
        try:
            return self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f'{self.arguments[0]} does not end within {seconds} s of SIGTERM:\n' + self.text())


class Server:
    """A whole installation: one process (inline; threads), or router, sm and c2s apart (processes)."""
    domain = DOMAIN
    password = PASSWORD

    def __init__(self, placement, settings=()):
        self.placement = placement
        self.data = Path(tempfile.mkdtemp(prefix='jackdaw-test-'))
        self.port, self.tls_port, self.router_port = free_port(), free_port(), free_port()
        self.settings = [
            'c2s.address=127.0.0.1', f'c2s.port={self.port}', f'c2s.tls_port={self.tls_port}',
            'router.address=127.0.0.1', f'router.port={self.router_port}', 'register.rate=0', 'c2s.max_per_address=0',
            *settings]
        if placement == 'threads':
            self.settings[:0] = ['server.placement=threads', 'server.threads=3']
        if getattr(placement, 'database', 'sqlite') == 'postgres':
            self.settings.insert(0, f'store.url={postgres().database()}')
        self.processes = {}

    def options(self, more=()):
        options = ['--data', str(self.data), '--domain', self.domain]
        for setting in [*self.settings, *more]:
            options += ['--set', setting]
        return options

    @property
    def names(self):
        return ['router', 'sm', 'c2s'] if self.placement == 'processes' else ['serve']

    def start(self):
        for name in self.names:
            self.start_one(name)
        return self

    def start_one(self, name, more=()):
        self.processes[name] = Process([name.split('-')[0], *self.options(more)])
        self.processes[name].wait_ready()

    def of(self, component):
        """The process that runs a component."""
        return self.processes[component if self.placement == 'processes' else 'serve']

    def command(self, *arguments, stdin=None, check=True):
        """jackdaw ARGUMENTS on this installation's data."""
        done = subprocess.run([JACKDAW, *arguments, *self.options()], input=stdin, capture_output=True, text=True,
                              timeout=WAIT)
        if check:
            assert done.returncode == 0, f'jackdaw {" ".join(arguments)}: {done.returncode}\n{done.stdout}{done.stderr}'
        return done

    def user(self, name, password=PASSWORD):
        """Makes an account; returns its bare JID."""
        self.command('user', 'add', f'{name}@{self.domain}', '--password-stdin', stdin=password + '\n')
        return f'{name}@{self.domain}'

    def status(self):
        return json.loads(self.command('status', '--json').stdout)

    def check_balance(self):
        """Every message that a session manager took on is somewhere (docs/decisions/0082-balance.md)."""
        done = self.command('status', '--json', check=False)
        components = json.loads(done.stdout)['components'] if done.returncode == 0 else {}
        for name, component in components.items():
            balance = component.get('balance')
            if balance:
                found = sum(balance[k] for k in ('delivered', 'stored', 'sent_on', 'bounced', 'dropped', 'in_flight'))
                assert balance['accepted'] == found, f'{name}: {balance}'

    @property
    def ca(self):
        return str(self.data / 'certificates/ca.pem')

    def client(self, name, resource='test', **more):
        """A raw client, logged in over STARTTLS and bound."""
        client = Raw(self.port, self.domain, self.ca)
        client.login(name, self.password, resource, **more)
        return client

    def stop(self):
        """SIGTERM to each, the listeners first; every one must end with exit code 0. No message may be missing before."""
        self.check_balance()
        codes = {name: self.processes[name].terminate() for name in reversed(self.names) if name in self.processes}
        text = {name: self.processes[name].text() for name, code in codes.items() if code != 0}
        self.processes = {}
        assert not text, f'exit codes {codes}: ' + '\n'.join(text.values())

    def remove(self):
        for process in self.processes.values():
            if process.popen.poll() is None:
                process.kill()
        shutil.rmtree(self.data, ignore_errors=True)


@pytest.fixture(scope='module')
def server(placement):
    s = Server(placement)
    try:
        s.start()
        yield s
        s.stop()
    finally:
        s.remove()


@pytest.fixture
def own_server(placement):
    """Not started: the test says with which settings."""
    made = []

    def make(*settings):
        made.append(Server(placement, settings))
        return made[-1]
    yield make
    for s in made:
        s.remove()


@pytest.fixture
def verona(own_server):
    """Started, with three accounts."""
    server = own_server().start()
    for name in ('romeo', 'juliet', 'nurse'):
        server.user(name)
    return server
