"""Processes of jabberd2 2.7.0 (Debian's) and ours on one router, one at a time: our router with its c2s, with its sm, with its
s2s; its router with our sm and c2s. In each a login and a message go through. Every process runs by itself on loopback with a
configuration of its own.
"""
import gzip
import json
import os
import sqlite3
import subprocess
import threading
import time
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from conftest import DOMAIN, PASSWORD, Server, free_port, need, need_namespaces
from names import seen_by
from raw import NS, WAIT, Raw, bodies

pytestmark = pytest.mark.peers

SECRET = 'not the default secret'
SBIN = Path('/usr/sbin')
SCHEMA = Path('/usr/share/doc/jabberd2/db-setup.sqlite.gz')


def pytest_generate_tests(metafunc):
    """These know one placement only: processes."""


@pytest.fixture(scope='module', autouse=True)
def jabberd2():
    need('jabberd2-sm', 'jabberd2')
    if not SCHEMA.exists():
        pytest.skip('jabberd2 is installed without its documentation, which holds the database schema '
                    '(/usr/share/doc/jabberd2/db-setup.sqlite.gz)')


class Their:
    """One process of jabberd2, with Debian's configuration changed where it must be."""

    def __init__(self, folder, name, settings, resolv_conf=None, users=()):
        """With `resolv_conf` it sees that file as /etc/resolv.conf, in a mount namespace of its own. `users` may do everything
        on its router, beside jabberd."""
        self.name, self.log = name, []
        tree = ET.parse(f'/etc/jabberd2/{name}.xml')
        root = tree.getroot()
        for path, value in {'pidfile': f'{folder}/{name}.pid', **settings}.items():
            parent, _, child = path.rpartition('/')
            element = root.find(path)
            if element is None:
                element = ET.SubElement(root.find(parent), child)
            element.text = value
        for user in users:
            ET.SubElement(root.find('aci/acl'), 'user').text = user
        log = root.find('log')
        log.clear()
        log.set('type', 'stdout')
        path = Path(folder) / f'{name}.xml'
        tree.write(path)
        command = [SBIN / f'jabberd2-{name}', '-c', path]
        if resolv_conf:
            need_namespaces()
            command = seen_by(resolv_conf, command)
        self.popen = subprocess.Popen(command, stdin=subprocess.DEVNULL,
                                      stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors='replace')
        threading.Thread(target=self._collect, daemon=True).start()

    def _collect(self):
        for line in self.popen.stdout:
            self.log.append(line.rstrip('\n'))

    def wait_log(self, text, seconds=WAIT):
        until = time.monotonic() + seconds
        while not any(text in line for line in self.log):
            assert self.popen.poll() is None and time.monotonic() < until, \
                f'jabberd2-{self.name} does not say "{text}":\n' + '\n'.join(self.log[-40:])
            time.sleep(0.02)
        return self

    def stop(self):
        self.popen.kill()  # asked to end they wait for each other, seconds long
        self.popen.wait()


class Mixed(Server):
    """Our installation in which some processes are theirs."""

    def __init__(self, ours, *settings, domain=DOMAIN):
        super().__init__('processes', [f'router.users=jabberd:{SECRET}:all', *settings])
        self.domain = domain
        self.ours, self.theirs = ours, []
        self.database = str(self.data / 'sqlite.db')
        with sqlite3.connect(self.database) as db:
            db.executescript(gzip.decompress(SCHEMA.read_bytes()).decode())

    names = property(lambda self: self.ours)
    clients_use_tls = property(lambda self: 'c2s' in self.ours)  # theirs has no certificate

    def attach(self, name, user='jabberd', secret=SECRET, resolv_conf=None, **settings):
        self.theirs.append(Their(self.data, name, {
            'router/ip': '127.0.0.1', 'router/port': str(self.router_port), 'router/user': user, 'router/pass': secret,
            **{path.replace('__', '/').replace('_', '-') if '__' in path else path: v for path, v in settings.items()}},
            resolv_conf))
        return self.theirs[-1]

    def their_c2s(self):
        c2s = self.attach('c2s', local__id=self.domain, local__ip='127.0.0.1', local__port=str(self.port),
                          authreg__sqlite__dbname=self.database)
        return c2s.wait_log('ready for connections')

    def their_sm(self):
        return self.attach('sm', local__id=self.domain, storage__sqlite__dbname=self.database).wait_log('ready for sessions')

    def their_router(self):
        users = self.data / 'router-users.xml'
        users.write_text(f'<users><user><name>jackdaw</name><secret>{SECRET}</secret></user>'
                         f'<user><name>jabberd</name><secret>{SECRET}</secret></user></users>')
        self.theirs.append(Their(self.data, 'router', {
            'local/ip': '127.0.0.1', 'local/port': str(self.router_port), 'local/users': str(users)}, users=['jackdaw']))
        return self.theirs[-1].wait_log('listening for incoming connections')

    def wait_name(self, name, seconds=WAIT):
        """Until our router knows a name; its entry in the status."""
        until = time.monotonic() + seconds
        while True:
            names = self.status()['components']['router']['names']
            if name in names and names[name]['components']:
                return names[name]
            assert time.monotonic() < until, f'{name} is not bound: {json.dumps(names)}'
            time.sleep(0.05)

    def remove(self):
        for their in self.theirs:
            their.stop()
        super().remove()


@pytest.fixture
def mixed():
    made = []

    def make(*ours, settings=()):
        made.append(Mixed(ours, *settings).start())
        return made[-1]
    yield make
    for s in made:
        print('\n'.join(f'--- {t.name}\n' + '\n'.join(t.log[-30:]) for t in s.theirs))
        print('\n'.join(f'--- {n}\n' + p.text() for n, p in s.processes.items()))
        s.remove()


def register(server, name):
    """In-band, on a connection of its own: jabberd2 kills a stream that registers and then logs in."""
    client = Raw(server.port, server.domain, server.ca)
    client.open()
    if server.clients_use_tls:
        client.starttls()
        client.open()
    client.send(f"<iq type='set' id='reg'><query xmlns='{NS['reg']}'><username>{name}</username>"
                f"<password>{PASSWORD}</password></query></iq>")
    answer = client.next()
    assert answer.get('type') == 'result', ET.tostring(answer)
    client.close()


def login(server, name, mechanism, resource='test'):
    client = Raw(server.port, server.domain, server.ca)
    client.login(name, PASSWORD, resource, tls=server.clients_use_tls, mechanism=mechanism)
    client.send(f"<iq type='get' id='roster'><query xmlns='{NS['r']}'/></iq><presence/>")
    client.wait_for('iq', id='roster')
    client.ping()
    return client


def chat(server, mechanism):
    """Registration, login, messages to and fro, one for somebody who is away, a name nobody has, goodbye."""
    for name in ('romeo', 'juliet', 'nurse'):
        register(server, name)
    romeo, juliet = login(server, 'romeo', mechanism), login(server, 'juliet', mechanism)
    for i in range(20):
        romeo.send(f"<message to='juliet@{DOMAIN}' type='chat'><body>wherefore &lt;{i}&gt; &amp; \u00fc</body></message>")
    got = juliet.wait_for('message')
    assert got.get('from') == f'romeo@{DOMAIN}/test'
    assert got.findtext('c:body', namespaces=NS) == 'wherefore <0> & \u00fc'
    assert [juliet.wait_for('message').findtext('c:body', namespaces=NS) for _ in range(19)] == [
        f'wherefore <{i}> & \u00fc' for i in range(1, 20)]
    juliet.send(f"<message to='romeo@{DOMAIN}/test' type='chat'><body>here</body></message>")
    assert romeo.wait_for('message').findtext('c:body', namespaces=NS) == 'here'
    romeo.send(f"<message to='nurse@{DOMAIN}' type='chat'><body>later</body></message>")
    romeo.ping()
    nurse = login(server, 'nurse', mechanism)
    assert 'later' in bodies(nurse.elements) or nurse.wait_for('message').findtext('c:body', namespaces=NS) == 'later'
    romeo.send("<message to='x@elsewhere.test' id='far'><body>anybody?</body></message>")
    assert romeo.wait_for('message', id='far').get('type') == 'error'
    presence(romeo, juliet)
    for client in (romeo, juliet, nurse):
        client.end()


def presence(romeo, juliet):
    """Subscription goes through the roster of whoever's sm it is."""
    romeo.send(f"<presence to='juliet@{DOMAIN}' type='subscribe'/>")
    assert juliet.wait_for('presence', type='subscribe').get('from') == f'romeo@{DOMAIN}'
    juliet.send(f"<presence to='romeo@{DOMAIN}' type='subscribed'/>")
    seen = set()
    while seen != {('subscribed', f'juliet@{DOMAIN}'), (None, f'juliet@{DOMAIN}/test')}:  # in either order
        got = romeo.wait_for('presence')
        seen.add((got.get('type'), got.get('from')))


def test_their_c2s_on_our_router(mixed):
    server = mixed('router', 'sm')
    server.their_c2s()
    assert server.wait_name('c2s')
    chat(server, 'PLAIN')


def test_their_sm_on_our_router(mixed):
    server = mixed('router', 'c2s')
    server.their_sm()
    assert server.wait_name('sm') and server.wait_name(DOMAIN)
    chat(server, 'SCRAM-SHA-256')


def test_ours_on_their_router(mixed):
    secret = Path('/tmp') / f'jackdaw-test-secret-{os.getpid()}'
    secret.write_text(SECRET + '\n')
    secret.chmod(0o600)
    try:
        server = Mixed([], f'router.secret_file={secret}')
        try:
            server.their_router()
            server.ours = ['sm', 'c2s']
            server.start()
            server.theirs[0].wait_log(f'[{DOMAIN}] online')
            server.theirs[0].wait_log('[c2s] online')
            chat(server, 'SCRAM-SHA-256')
            server.stop()
        finally:
            print('\n'.join(server.theirs[0].log[-30:]))
            server.remove()
    finally:
        secret.unlink()


def test_their_s2s_is_the_default_route(mixed):
    server = mixed('router', 'sm', 'c2s')
    server.attach('s2s', local__ip='127.0.0.1', local__port=str(free_port())).wait_log('ready for connections')
    assert server.wait_name('s2s')['default'] is True


def test_our_secret_serves_them_too(mixed):
    """The user of our own processes, with the generated secret."""
    server = mixed('router', 'sm')
    server.attach('sm', user='jackdaw', secret=(server.data / 'router-secret').read_text().strip(),
                  local__id='other.test', storage__sqlite__dbname=server.database, id='sm-theirs')
    assert server.wait_name('other.test')


def test_a_wrong_secret_stays_outside(mixed):
    server = mixed('router')
    server.attach('c2s', secret='secret', local__id=DOMAIN, local__ip='127.0.0.1', local__port=str(server.port),
                  authreg__sqlite__dbname=server.database).wait_log('Authentication failed')
    assert 'c2s' not in server.status()['components']['router']['names']
