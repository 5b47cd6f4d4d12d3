"""Federation found by real DNS - a signed root, signed, unsigned and broken zones (dns_world.py) - with servers that are not
what they should be: dead, silent, with wrong certificates, liars, ourselves."""
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import pytest

from conftest import free_port
from dns_world import World
from raw import NS, STREAM, WAIT, local
from test_s2s import PLACEMENTS, Peer, Stranger, authority, body, message  # noqa: F401

TLS_NS = 'urn:ietf:params:xml:ns:xmpp-tls'


def certificate(folder, name, ca, days=30):
    """key.pem and cert.pem for a domain, in a folder of its own; by the authority in `ca`, or by itself when that is None."""
    folder = Path(folder) / name.replace('*', 'any')
    folder.mkdir()
    run = lambda *a: subprocess.run(['openssl', *map(str, a)], check=True, capture_output=True)
    key, cert, san = folder / 'key.pem', folder / 'cert.pem', f'subjectAltName=DNS:{name}'
    new = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', key, '-subj', f'/CN={name}']
    if ca is None:
        run('req', '-x509', *new, '-out', cert, '-days', days, '-addext', san)
    else:
        run('req', *new, '-out', folder / 'csr.pem')
        (folder / 'ext').write_text(san + '\n')
        run('x509', '-req', '-in', folder / 'csr.pem', '-CA', ca / 'ca.pem', '-CAkey', ca / 'ca-key.pem', '-CAcreateserial',
            '-CAserial', folder / 'serial', '-days', days, '-out', cert, '-extfile', folder / 'ext')
    return folder


class Fake:
    """A server that accepts streams for `domain`, offers STARTTLS with this certificate (None: says nothing at all) and notes
    everything it is told inside."""

    def __init__(self, domain, folder):
        self.domain, self.heard, self.accepted, self.port = domain, b'', 0, free_port()
        self.context = None
        if folder:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(folder / 'cert.pem', folder / 'key.pem')
        self.listener = socket.create_server(('127.0.5.1', self.port))
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            self.accepted += 1
            threading.Thread(target=self.serve, args=(peer,), daemon=True).start()

    def header(self):
        return (f"<?xml version='1.0'?><stream:stream xmlns='jabber:server' xmlns:stream='{STREAM}' id='x' from='{self.domain}' "
                f"xmlns:db='jabber:server:dialback' version='1.0'><stream:features>").encode()

    def serve(self, peer):
        try:
            peer.settimeout(20)
            if not self.context:
                while peer.recv(4096):
                    pass
                return
            peer.recv(4096)
            peer.sendall(self.header() + f"<starttls xmlns='{TLS_NS}'><required/></starttls></stream:features>".encode())
            assert b'starttls' in peer.recv(4096)
            peer.sendall(f"<proceed xmlns='{TLS_NS}'/>".encode())
            peer = self.context.wrap_socket(peer, server_side=True)
            while data := peer.recv(4096):
                self.heard += data
                if b'<stream:stream' in data:
                    peer.sendall(self.header() + b"<dialback xmlns='urn:xmpp:features:dialback'/></stream:features>")
        except (OSError, AssertionError):
            pass
        finally:
            peer.close()

    def close(self):
        self.listener.close()


class Scene:
    """a.jd, that requires certificates but of d.jd; c.jd, that does too and gives up soon; b.jd with one; d.jd without; fakes;
    and the DNS that names them."""

    def __init__(self, ca):
        self.folder = Path(tempfile.mkdtemp(prefix='jackdaw-fakes-'))
        self.fakes, self.world, self.servers = {}, None, []
        try:
            self.begin(ca)
        except BaseException:
            self.close()
            raise

    def server(self, domain, ip, ca, settings):
        s = Peer(domain, ip, ca, settings)
        s.settings.remove('resolver.forwarders=127.0.0.1@1')
        self.servers.append(s)
        return s

    def begin(self, ca):
        for name, domain, signed, days in (
                ('other', 'elsewhere.jd', ca, 30), ('expired', 'expired.jd', ca, -1), ('self', 'self-signed.jd', None, 30),
                ('silent', None, None, 0)):
            self.fakes[name] = Fake(f'{name}.jd', certificate(self.folder, domain, signed, days) if domain else None)
        self.a = self.server('a.jd', '127.0.5.2', ca, ['s2s.policies=d.jd=no-certificate', 's2s.queue_time=600',
                                                       's2s.auth_time=10', 's2s.max_per_address=0'])
        self.c = self.server('c.jd', '127.0.5.6', ca, ['s2s.queue_time=8'])
        self.b = self.server('b.jd', '127.0.5.3', ca, [])
        self.d = self.server('d.jd', '127.0.5.4', None, ['s2s.require_certificate=false'])
        self.u = self.server('u.unsigned.jd', '127.0.5.5', ca, [])
        self.world = World({'jd.': self.zone(), 'unsigned.jd.':
                            f'_xmpp-server._tcp.u SRV 0 0 {self.u.s2s_port} h.u\nh.u A {self.u.ip}\n'}).wait()
        for s in self.servers:
            s.settings += [f'resolver.forwarders={self.world.forwarder}', f'resolver.trust_anchor={self.world.anchor}',
                           'resolver.hosts=']
            s.start()
            s.user('romeo')

    def zone(self):
        lines = ['fake A 127.0.5.1', 'dead A 127.0.5.99', 'far A 192.0.2.1', 'far AAAA 2001:db8::1', f'ours A {self.c.ip}']
        for s in (self.a, self.d):
            lines += [f'_xmpp-server._tcp.{s.domain}. SRV 0 0 {s.s2s_port} h.{s.domain}.', f'h.{s.domain}. A {s.ip}']
        # b has several hosts: one that refuses, one without a way to it, one that says nothing; and at last itself, twice.
        for priority, port, host in ((0, 1, 'dead'), (1, 5269, 'far'), (2, self.fakes['silent'].port, 'fake'),
                                     (3, self.b.s2s_port, 'h.b'), (3, self.b.s2s_port, 'h2.b')):
            lines.append(f'_xmpp-server._tcp.b SRV {priority} 0 {port} {host}')
        lines += [f'h.b A {self.b.ip}', f'h2.b A {self.b.ip}']
        lines += [f'_xmpp-server._tcp.{n} SRV 0 0 {f.port} fake' for n, f in self.fakes.items()]
        lines.append(f'_xmpp-server._tcp.points-at-us SRV 0 0 {self.c.s2s_port} ours')
        return '\n'.join(lines) + '\n'

    def close(self):
        for f in self.fakes.values():
            f.close()
        if self.world:
            self.world.close()
        for s in self.servers:
            print(*(f'--- {s.domain}\n' + p.text() for p in s.processes.values()), sep='\n')
            s.remove()
        shutil.rmtree(self.folder)


@pytest.fixture(scope='module')
def scene(authority):  # noqa: F811
    s = Scene(authority)
    try:
        yield s
        for server in s.servers:
            server.stop()
    finally:
        s.close()


def present(server):
    client = server.client('romeo')
    client.send('<presence/>')
    client.ping()
    client.elements.clear()
    return client


@pytest.fixture
def romeo(scene):
    """Of a.jd. In the end nobody has told him anything that the test did not look at."""
    client = present(scene.a)
    yield client
    client.close()


@pytest.fixture
def hasty(scene):
    """Of c.jd, where one soon hears why something could not be sent."""
    client = present(scene.c)
    yield client
    client.close()


def refusals(client, domains):
    """Writes to each of them at once; {domain: (condition, text)} of the errors."""
    for domain in domains:
        client.send(message(f'x@{domain}', 'secret words', domain))
    found = {}
    while len(found) < len(domains):
        got = client.wait_for('message', WAIT, type='error')
        error = got.find('c:error', NS)
        found[got.get('id')] = ([local(e) for e in error if e.tag.startswith('{' + NS['st']) and local(e) != 'text'][0],
                                error.findtext('st:text', '', NS))
    return found


def there_and_back(romeo, server):
    client = present(server)
    romeo.send(message(client.jid, 'there', 'm1'))
    try:
        assert body(client.wait_for('message', WAIT)) == 'there'
    except TimeoutError:
        raise AssertionError(f'{romeo.nothing()} {server.of("s2s").text()}')
    client.send(message(romeo.jid, 'back', 'm2'))
    assert body(romeo.wait_for('message', WAIT)) == 'back'
    client.close()


def test_the_last_of_several_hosts(scene, romeo, placement):
    """RFC 2782 by priority: refused, without a way, silent - and then one that answers."""
    there_and_back(romeo, scene.b)
    assert scene.fakes['silent'].accepted


def test_an_unsigned_zone(scene, romeo, placement):
    """No proof in DNS; the certificate is one."""
    there_and_back(romeo, scene.u)


def test_dialback_where_the_policy_allows_it(scene, romeo, placement):
    there_and_back(romeo, scene.d)
    pairs = {d['domain']: d['pairs'] for d in scene.a.listing()['domains']}
    assert pairs['d.jd'][0]['by'] == 'dialback' and pairs['d.jd'][0]['tls'] is True


def test_who_must_not_be_reached(scene, hasty, placement):
    """What DNS denies; and certificates for another domain, out of date, by nobody: none is told what we wanted to say."""
    expected = {'none.jd': ('remote-server-not-found', 'no XMPP server'),  # the target is "."
                'missing.jd': ('remote-server-not-found', 'DNS'),
                'bogus.jd': ('remote-server-timeout', 'DNSSEC'),  # false signatures
                'loop.jd': ('remote-server-timeout', 'DNS'),  # a name that leads to itself
                'other.jd': ('remote-server-timeout', 'for another domain'),
                'expired.jd': ('remote-server-timeout', 'expired'),
                'self.jd': ('remote-server-timeout', 'self')}
    left, until = set(expected), time.monotonic() + 3 * WAIT
    while left:  # a slow machine does not come that far at the first try
        found = refusals(hasty, left)
        left = {d for d in left if found[d][0] != expected[d][0] or expected[d][1] not in found[d][1]}
        assert not left or time.monotonic() < until, {d: found[d] for d in left}
    for name in ('other', 'expired', 'self'):
        assert scene.fakes[name].accepted and b'secret' not in scene.fakes[name].heard


def test_a_domain_that_points_at_us(scene, hasty, placement):
    """We meet ourselves, do not know that domain, and say so; nothing turns in circles."""
    before = scene.c.status()['components']['s2s']
    condition, _ = refusals(hasty, ['points-at-us.jd'])['points-at-us.jd']
    assert condition in ('remote-server-not-found', 'remote-server-timeout')
    after = scene.c.status()['components']['s2s']
    assert after['stanzas_in'] == before['stanzas_in']


# ---- liars on our port ----

def stranger(scene, from_, to='a.jd', folder=None):
    """A stream to a.jd in a name of its choice, in TLS (with a certificate, when one is given)."""
    s = Stranger(scene.a.s2s_port, 'a.jd', scene.a.ca, ip=scene.a.ip)
    s.hello(from_, to)
    s.send(f"<starttls xmlns='{TLS_NS}'/>")
    assert local(s.next()) == 'proceed'
    context = ssl.create_default_context(cafile=scene.a.ca)
    if folder:
        context.load_cert_chain(folder / 'cert.pem', folder / 'key.pem')
    s.wrap(context=context)
    s.hello(from_, to)
    return s


def gets_nothing_through(s, romeo, from_):
    s.send(f"<message from='{from_}' to='romeo@a.jd'><body>boo</body></message>")
    assert s.stream_error()[0] in ('not-authorized', 'invalid-from')
    romeo.ping()
    assert not any(local(e) == 'message' for e in romeo.elements)


def test_a_dialback_key_that_is_not_theirs(scene, romeo, placement):
    """The true d.jd is asked, and knows nothing of it."""
    s = stranger(scene, 'd.jd')
    s.send("<db:result from='d.jd' to='a.jd'>0123456789abcdef0123456789abcdef</db:result>")
    answer = s.wait_for('result', WAIT)
    assert answer.get('type') == 'invalid' and answer.get('to') == 'd.jd'
    s.stream_error()  # XEP-0220 section 2.2.1: nothing else was to be had on that stream
    romeo.ping()
    assert not any(local(e) == 'message' for e in romeo.elements)


def test_dialback_where_a_certificate_is_wanted(scene, romeo, placement):
    s = stranger(scene, 'b.jd')
    s.send("<db:result from='b.jd' to='a.jd'>0123456789abcdef0123456789abcdef</db:result>")
    answer = s.wait_for('result', WAIT)
    assert answer.get('type') == 'error'
    gets_nothing_through(s, romeo, 'x@b.jd')


@pytest.mark.parametrize('forged', [
    "<db:verify from='d.jd' to='a.jd' id='1' type='valid'/>", "<db:result from='d.jd' to='a.jd' type='valid'/>"])
def test_answers_nobody_asked_for(scene, romeo, forged, placement):
    """CVE-2012-3525: to claim that a key was verified does not make it so."""
    s = stranger(scene, 'd.jd')
    s.send(forged)
    try:
        s.send("<message from='x@d.jd' to='romeo@a.jd'><body>boo</body></message>")
    except OSError:
        pass
    assert s.stream_error()[0] in ('invalid-from', 'not-authorized')
    romeo.ping()
    assert not any(local(e) == 'message' for e in romeo.elements)


def test_a_key_that_claims_to_be_ours(scene, placement):
    """Anybody may ask whether a key is ours; only those are that we made."""
    s = stranger(scene, 'd.jd')
    s.send("<db:verify from='d.jd' to='a.jd' id='s1'>00112233445566778899</db:verify>")
    answer = s.wait_for('verify', WAIT)
    assert (answer.get('type'), answer.get('id')) == ('invalid', 's1')
    s.close()


@pytest.mark.parametrize('name,days', [('evil.jd', 30), ('b.jd', -1)])
def test_a_certificate_that_does_not_prove_it(scene, romeo, authority, tmp_path, name, days, placement):  # noqa: F811
    """By the right authority but for another domain, or out of date: no EXTERNAL, and no dialback in its place."""
    s = stranger(scene, 'b.jd', folder=certificate(tmp_path, name, authority, days))
    s.send(f"<auth xmlns='{NS['sasl']}' mechanism='EXTERNAL'>=</auth>")
    assert local(s.next()) == 'failure'
    gets_nothing_through(s, romeo, 'x@b.jd')


def test_only_the_pair_that_was_proven(scene, romeo, authority, tmp_path, placement):  # noqa: F811
    """With the certificate of evil.jd one may speak for evil.jd, and to a.jd alone."""
    folder = certificate(tmp_path, 'evil.jd', authority)
    for from_, to in (('x@b.jd', 'romeo@a.jd'), ('x@a.jd', 'romeo@a.jd'), ('x@evil.jd', 'romeo@b.jd')):
        s = stranger(scene, 'evil.jd', folder=folder)
        s.send(f"<auth xmlns='{NS['sasl']}' mechanism='EXTERNAL'>=</auth>")
        assert local(s.next()) == 'success'
        s.hello('evil.jd', 'a.jd')
        s.send(message('romeo@a.jd', 'true').replace('<message', "<message from='x@evil.jd'"))
        assert body(romeo.wait_for('message')) == 'true'
        s.send(message(to, 'false').replace('<message', f"<message from='{from_}'"))
        assert s.stream_error()[0] in ('invalid-from', 'not-authorized', 'host-unknown')
        romeo.ping()
        assert not any(local(e) == 'message' for e in romeo.elements)
