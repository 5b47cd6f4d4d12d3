"""Domains: several in one server, each with its certificate, added and removed by `jackdaw reload` or SIGHUP while the
others go on; and a reload that is refused as a whole."""
import shutil
import signal
import socket
import ssl
import time

import pytest

from conftest import DOMAIN, Process, free_port
from raw import WAIT, Raw

THREADS = True
OTHER = 'other.test'


class Installation:
    """A server with a configuration file that the test rewrites."""

    def __init__(self, server, supervised):
        self.server = server
        self.file = server.data / 'jackdaw.conf'
        self.supervised = supervised
        server.options = self.options
        self.domains = {DOMAIN: ''}
        self.more = ''
        self.tls_port = server.tls_port
        self.write()

    def options(self, more=()):
        options = ['--config', str(self.file), '--data', str(self.server.data)]
        if self.supervised:
            more = [*more, 'server.placement=processes']
        for setting in [s for s in self.server.settings if not s.startswith('c2s.tls_port')] + list(more):
            options += ['--set', setting]
        return options

    def write(self):
        sections = ''.join(f'domain "{name}" {{ {text} }}\n' for name, text in self.domains.items())
        self.file.write_text(f'{sections}c2s {{ tls_port = {self.tls_port} }}\n{self.more}')

    def reload(self, check=True):
        self.write()
        return self.server.command('reload', check=check)

    def user(self, name, domain):
        self.server.command('user', 'add', f'{name}@{domain}', '--password-stdin', stdin=self.server.password + '\n')

    def client(self, name, domain):
        client = Raw(self.server.port, domain, self.server.ca)
        client.login(name, self.server.password)
        return client

    def refused(self, domain):
        """RFC 6120 section 4.9.3.6"""
        with pytest.raises(AssertionError, match='host-unknown'):
            Raw(self.server.port, domain, self.server.ca).open()
        return True

    def log(self):
        return '\n'.join(line for p in self.server.processes.values() for line in p.log)


@pytest.fixture
def installation(own_server):
    server = own_server()
    made = Installation(server, False)
    server.start()
    yield made
    server.stop()


def certificate_of(port, domain, ca):
    context = ssl.create_default_context(cafile=ca)
    with socket.create_connection(('127.0.0.1', port), 10) as s, context.wrap_socket(s, server_hostname=domain) as t:
        return t.getpeercert()


def test_added_and_removed(installation):
    server = installation.server
    installation.user('alice', DOMAIN)
    alice = installation.client('alice', DOMAIN)
    assert installation.refused(OTHER)
    installation.domains[OTHER] = ''
    installation.reload()
    installation.user('bob', OTHER)
    bob = installation.client('bob', OTHER)
    bob.send('<presence/>')
    alice.send(f"<message to='bob@{OTHER}/test' type='chat' id='1'><body>hello</body></message>")
    assert bob.wait_for('message').findtext('{jabber:client}body') == 'hello'
    assert OTHER in str(certificate_of(server.tls_port, OTHER, server.ca))
    assert DOMAIN in str(certificate_of(server.tls_port, DOMAIN, server.ca))
    del installation.domains[OTHER]
    installation.reload()
    assert bob.stream_error()[0] == 'host-gone'
    alice.send(f"<message to='bob@{OTHER}' type='chat' id='2'><body>gone</body></message>")
    assert alice.wait_for('message').get('type') == 'error'
    alice.ping()
    installation.domains[OTHER] = ''
    installation.reload()
    installation.client('bob', OTHER).end()
    alice.end()


def test_the_header_names_the_domain(installation):
    """Who sends no SNI has said in the stream header whose certificate it is to be."""
    installation.domains[OTHER] = ''
    installation.reload()
    context = ssl.create_default_context(cafile=installation.server.ca)
    context.check_hostname = False
    for domain in (OTHER, DOMAIN):
        client = Raw(installation.server.port, domain, installation.server.ca)
        client.open()
        client.send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
        client.wait_for('proceed')
        with context.wrap_socket(client.sock) as t:
            assert domain in str(t.getpeercert()['subjectAltName'])


def test_a_bad_configuration_changes_nothing(installation):
    installation.user('alice', DOMAIN)
    alice = installation.client('alice', DOMAIN)
    installation.domains[OTHER] = 'tls = sometimes'
    done = installation.reload(check=False)
    assert done.returncode == 1 and 'jackdaw.conf:2:' in done.stderr and 'sometimes' in done.stderr
    # one that only the running server can judge: the certificate is none
    installation.domains[OTHER] = f'certificate = "{installation.file}"'
    del installation.domains[DOMAIN]
    done = installation.reload(check=False)
    assert done.returncode == 1 and 'nothing was changed' in done.stderr and 'jackdaw.conf' in done.stderr
    alice.ping()
    installation.client('alice', DOMAIN).end()
    assert installation.refused(OTHER)
    alice.end()


def test_a_certificate_of_ones_own(installation):
    server, other = installation.server, installation.server.data / 'own'
    other.mkdir()
    certificates = server.data / 'certificates'
    installation.domains[OTHER] = ''
    installation.reload()
    before = certificate_of(server.tls_port, OTHER, server.ca)['serialNumber']
    for name in (f'{OTHER}.pem', f'{OTHER}-key.pem'):
        shutil.move(certificates / name, other / name)
    installation.domains[OTHER] = f'certificate = "{other}/{OTHER}.pem" key = "{other}/{OTHER}-key.pem"'
    installation.reload()
    assert certificate_of(server.tls_port, OTHER, server.ca)['serialNumber'] == before
    assert not (certificates / f'{OTHER}.pem').exists()


def test_the_direct_tls_port_moves(installation):
    server = installation.server
    installation.user('alice', DOMAIN)
    alice = installation.client('alice', DOMAIN)
    old, installation.tls_port = server.tls_port, free_port()
    installation.reload()
    assert certificate_of(installation.tls_port, DOMAIN, server.ca)
    with pytest.raises(OSError):
        socket.create_connection(('127.0.0.1', old), 5).close()
    # a port that somebody else has is refused, and what is open stays open
    with socket.socket() as taken:
        taken.bind(('127.0.0.1', 0))
        taken.listen()
        kept, installation.tls_port = installation.tls_port, taken.getsockname()[1]
        done = installation.reload(check=False)
        assert done.returncode == 1 and 'tls_port' not in done.stdout
    assert certificate_of(kept, DOMAIN, server.ca)
    installation.tls_port = 0
    installation.reload()
    with pytest.raises(OSError):
        socket.create_connection(('127.0.0.1', kept), 5).close()
    alice.ping()
    alice.end()


def test_reload_without_a_server(own_server):
    done = own_server().command('reload', check=False)
    assert done.returncode == 1 and 'no server' in done.stderr


def until(condition, seconds=WAIT):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_sighup_to_the_supervisor_is_all_or_nothing(own_server, placement):
    """placement=processes under one command: it has its children agree, so that a certificate which only c2s can judge
    keeps sm from leaving the domain."""
    server = own_server()
    installation = Installation(server, True)
    serve = Process(['serve', *server.options()])
    server.processes = {'serve': serve}
    serve.wait_ready()
    installation.user('alice', DOMAIN)
    alice = installation.client('alice', DOMAIN)
    installation.domains = {OTHER: f'certificate = "{installation.file}"'}
    installation.write()
    serve.signal(signal.SIGHUP)
    until(lambda: 'nothing was changed' in installation.log())
    alice.ping()
    installation.domains = {DOMAIN: '', OTHER: ''}
    installation.write()
    serve.signal(signal.SIGHUP)
    until(lambda: f'serving {OTHER}' in installation.log())
    installation.user('bob', OTHER)
    installation.client('bob', OTHER).end()
    alice.ping()
    alice.end()
    assert serve.terminate() == 0
