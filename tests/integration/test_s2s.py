"""Federation: our server with another of ours, and with Prosody (Debian's 0.12), each on a loopback address of its own.
By certificate (a private authority), by dialback (self-signed), without TLS; killed and restarted; strangers who lie."""
import hashlib
import json
import re
import shutil
import signal
import socket
import tempfile
import time
from pathlib import Path

import pytest

from conftest import Server, free_port
from raw import NS, WAIT, Raw, local

PLACEMENTS = ['inline']


class Peer(Server):
    """One of ours, as `domain`, on its own loopback address."""

    def __init__(self, domain, ip, authority=None, settings=(), placement='inline'):
        super().__init__(placement)
        self.domain, self.ip, self.s2s_port = domain, ip, free_port()
        certificates = self.data / 'certificates'
        certificates.mkdir()
        if authority:
            for name in ('ca.pem', 'ca-key.pem'):
                shutil.copy(Path(authority) / name, certificates / name)
        self.settings = [*self.settings, 's2s.enabled=true', f's2s.address={ip}', f's2s.port={self.s2s_port}',
                         f's2s.ca_file={certificates}/ca.pem', 's2s.queue_time=20', 'resolver.forwarders=127.0.0.1@1',
                         *settings]
        self.hosts = {}

    @property
    def names(self):
        return ['router', 'sm', 'c2s', 'resolver', 's2s'] if self.placement == 'processes' else ['serve']

    def start_s2s(self):
        """And waits until the router knows its default route again."""
        self.start_one('s2s')
        until = time.monotonic() + WAIT
        while self.status()['components']['s2s']['link']['peers'] == 0:
            assert time.monotonic() < until, self.of('s2s').text()
            time.sleep(0.1)

    def know(self, domain, ip, port):
        self.hosts[domain] = f'{ip}:{port}'

    def start(self):
        self.settings = [s for s in self.settings if not s.startswith('s2s.hosts=')]
        self.settings.append('s2s.hosts=' + ','.join(f'{d}={w}' for d, w in self.hosts.items()))
        certificates = self.data / 'certificates'
        if not (certificates / 'ca.pem').exists():  # s2s.ca_file must be there: let the server make it
            bare = [s for s in self.settings if not s.startswith('s2s.')]
            kept, self.settings, placement, self.placement = self.settings, bare, self.placement, 'inline'
            super().start()
            self.stop()
            self.settings, self.placement = kept, placement
        return super().start()

    def listing(self):
        return json.loads(self.command('s2s', 'list', '--json').stdout)


@pytest.fixture(scope='session')
def authority():
    """A directory with a private authority: ca.pem and ca-key.pem, made by our own server's first start."""
    s = Server('inline')
    try:
        s.start()
        s.stop()
        keep = Path(tempfile.mkdtemp(prefix='jackdaw-ca-'))
        for name in ('ca.pem', 'ca-key.pem'):
            shutil.copy(s.data / 'certificates' / name, keep / name)
    finally:
        s.remove()
    yield keep
    shutil.rmtree(keep, ignore_errors=True)


@pytest.fixture
def pair(authority):
    made = []

    def make(kind, more=()):
        settings = {'certificate': [], 'dialback': ['s2s.require_certificate=false'],
                    'plain': ['s2s.require_certificate=false', 's2s.tls=off']}[kind]
        ca = authority if kind == 'certificate' else None
        a = Peer('a.test', '127.0.3.1', ca, [*settings, *more])
        made.append(a)
        b = Peer('b.test', '127.0.3.2', ca, [*settings, *more])
        made.append(b)
        a.know('b.test', b.ip, b.s2s_port)
        b.know('a.test', a.ip, a.s2s_port)
        for s in (a, b):
            s.start()
        return a, b
    yield make
    for s in made:
        s.remove()


def message(to, text, id_='m1'):
    return f"<message to='{to}' type='chat' id='{id_}'><body>{text}</body></message>"


def body(element):
    return element.find('c:body', NS).text


def log_of(server):
    return server.of('s2s').text()


@pytest.mark.parametrize('bidi', ['true', 'false'])
@pytest.mark.parametrize('kind', ['certificate', 'dialback', 'plain'])
def test_messages_both_ways(pair, kind, bidi, placement):
    a, b = pair(kind, [f's2s.bidi={bidi}'])
    a.user('romeo'), b.user('juliet')
    romeo, juliet = a.client('romeo'), b.client('juliet')
    juliet.send('<presence/>')
    juliet.ping()
    romeo.send('<presence/>')
    romeo.send(message('juliet@b.test', 'O'))
    got = juliet.wait_for('message')
    assert got.get('from') == romeo.jid and body(got) == 'O'
    juliet.send(message(romeo.jid, 'speak'))
    got = romeo.wait_for('message')
    assert got.get('from') == juliet.jid and body(got) == 'speak'
    listing = a.listing()
    states = {d['domain']: d for d in listing['domains']}
    assert states['b.test']['pairs'][0]['state'] == 'open'
    assert states['b.test']['pairs'][0]['tls'] == (kind != 'plain')
    if kind == 'certificate':
        assert states['b.test']['pairs'][0]['by'] == 'certificate'
    if kind == 'certificate' and bidi == 'true':  # with dialback the other side has to call back
        assert listing['incoming'] == []
    romeo.close(), juliet.close()
    a.stop(), b.stop()


def test_an_iq_and_its_answer(pair, placement):
    a, b = pair('certificate')
    a.user('romeo')
    romeo = a.client('romeo')
    romeo.send("<iq to='b.test' type='get' id='v'><query xmlns='jabber:iq:version'/></iq>")
    got = romeo.wait_for('iq', id='v')
    assert got.get('type') == 'result' and got.get('from') == 'b.test'
    assert local(got[0]) == 'query' and got[0].tag == '{jabber:iq:version}query'


def test_subscription_and_presence(pair, placement):
    a, b = pair('certificate')
    a.user('romeo'), b.user('juliet')
    romeo, juliet = a.client('romeo'), b.client('juliet')
    for c in (romeo, juliet):
        c.send("<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq><presence/>")
        c.wait_for('iq', id='r')
    romeo.send("<presence to='juliet@b.test' type='subscribe'/>")
    assert juliet.wait_for('presence', type='subscribe').get('from') == 'romeo@a.test'
    juliet.send("<presence to='romeo@a.test' type='subscribed'/>")
    romeo.wait_for('presence', type='subscribed')
    assert romeo.wait_for('presence').get('from') == juliet.jid
    juliet.send("<presence type='unavailable'/>")
    assert romeo.wait_for('presence', type='unavailable').get('from') == juliet.jid


def test_a_domain_that_cannot_be_reached(authority, placement):
    a = Peer('a.test', '127.0.3.1', authority, ['s2s.queue_time=5'])
    a.know('nobody.test', '127.0.3.9', 1)
    try:
        a.start()
        a.user('romeo')
        romeo = a.client('romeo')
        romeo.send(message('juliet@nobody.test', 'hello?'))
        error = romeo.wait_for('message', WAIT, type='error')
        assert error.get('from') == 'juliet@nobody.test'
        assert error.find('c:error/st:remote-server-timeout', NS) is not None
        a.stop()
    finally:
        a.remove()


def test_a_certificate_nobody_vouches_for(authority, placement):
    """b has an authority of its own: a must not speak with it."""
    a = Peer('a.test', '127.0.3.1', authority, ['s2s.queue_time=5'])
    b = Peer('b.test', '127.0.3.2', None, ['s2s.require_certificate=false'])
    a.know('b.test', b.ip, b.s2s_port)
    b.know('a.test', a.ip, a.s2s_port)
    try:
        a.start(), b.start()
        a.user('romeo'), b.user('juliet')
        romeo, juliet = a.client('romeo'), b.client('juliet')
        juliet.send('<presence/>')
        romeo.send('<presence/>')
        romeo.send(message('juliet@b.test', 'to whom?'))
        error = romeo.wait_for('message', WAIT, type='error')
        assert 'certificate' in error.find('c:error/st:text', NS).text
        juliet.send(message('romeo@a.test', 'it is I'))
        assert juliet.wait_for('message', WAIT, type='error') is not None
        assert romeo.nothing() == ''
    finally:
        a.remove(), b.remove()


@pytest.mark.parametrize('kind', ['certificate', 'dialback'])
def test_the_other_server_is_killed_in_the_middle(pair, kind, placement):
    """Whatever is sent while it is away arrives when it is back, once and in order."""
    a, b = pair(kind)
    a.user('romeo'), b.user('juliet')
    romeo = a.client('romeo')
    romeo.send(message('juliet@b.test', '0', 'm0'))
    time.sleep(1)
    b.of('s2s').kill()
    for i in range(1, 20):
        romeo.send(message('juliet@b.test', str(i), f'm{i}'))
    romeo.ping()
    time.sleep(1)
    b.start_one('serve')
    juliet = b.client('juliet')
    juliet.send('<presence/>')
    bodies = []
    while len(bodies) < 20:
        bodies.append(body(juliet.wait_for('message', WAIT)))
    assert bodies == [str(i) for i in range(20)]
    assert juliet.nothing(1) == ''


def test_each_process_by_itself_and_s2s_killed(authority, placement):
    """All five apart; the s2s dies by -9 and comes back, the streams with it."""
    a = Peer('a.test', '127.0.3.1', authority, placement='processes')
    b = Peer('b.test', '127.0.3.2', authority)
    a.know('b.test', b.ip, b.s2s_port)
    b.know('a.test', a.ip, a.s2s_port)
    try:
        a.start(), b.start()
        a.user('romeo'), b.user('juliet')
        romeo, juliet = a.client('romeo'), b.client('juliet')
        for c in (romeo, juliet):
            c.send('<presence/>')
            c.ping()
        arrived = []

        def arrives(at, text):
            got = body(at.wait_for('message'))
            while got in arrived:  # delivered, but not acknowledged when s2s died (reliability.md G3)
                got = body(at.wait_for('message'))
            assert got == text
            arrived.append(got)

        for i in range(3):
            romeo.send(message(juliet.jid, f'out {i}'))
            arrives(juliet, f'out {i}')
            juliet.send(message(romeo.jid, f'in {i}'))
            arrives(romeo, f'in {i}')
            if i < 2:
                a.of('s2s').kill()
                a.start_s2s()
        a.processes['s2s'].terminate()
        romeo.send(message(juliet.jid, 'nobody to take it'))
        romeo.send("<iq to='b.test' type='get' id='nobody'><ping xmlns='urn:xmpp:ping'/></iq>")
        error = romeo.wait_for('iq', id='nobody')  # at once: the router knows that there is no way out
        assert error.find('c:error/st:remote-server-timeout', NS) is not None
        del a.processes['s2s']
        a.start_s2s()
        arrives(juliet, 'nobody to take it')
        a.stop(), b.stop()
    finally:
        a.remove(), b.remove()


class Component:
    """An external component (XEP-0114) in a few lines."""

    def __init__(self, server, name, secret):
        self.socket = socket.create_connection(('127.0.0.1', server.router_port), 10)
        self.socket.sendall(f"<stream:stream xmlns='jabber:component:accept' to='{name}' "
                            "xmlns:stream='http://etherx.jabber.org/streams'>".encode())
        id_ = re.search("id=['\"]([^'\"]+)", self.read_until('>', 'id=')).group(1)
        self.socket.sendall(f'<handshake>{hashlib.sha1((id_ + secret).encode()).hexdigest()}</handshake>'.encode())
        self.read_until('<handshake')

    def read_until(self, *words):
        text = ''
        while not all(word in text for word in words):
            more = self.socket.recv(65536).decode()
            assert more, text
            text += more
        return text

    def close(self):
        self.socket.close()


def test_a_component_shows_its_own_certificate(pair, placement):
    """b demands certificates: that of a's external component was made by the same authority as a's own."""
    a, b = pair('certificate', ['router.components=irc.a.test:a secret', 's2s.bidi=false'])
    b.user('juliet')
    juliet = b.client('juliet')
    juliet.send('<presence/>')
    juliet.ping()
    irc = Component(a, 'irc.a.test', 'a secret')
    try:
        irc.socket.sendall(f"<message from='room@irc.a.test' to='{juliet.jid}'><body>hi</body></message>".encode())
        got = juliet.wait_for('message', WAIT)
        assert got.get('from') == 'room@irc.a.test' and body(got) == 'hi'
        assert [(c['domain'], c['certificate']) for c in b.listing()['incoming']] == [('irc.a.test', True)]
    finally:
        irc.close()


class FromFile(Peer):
    """One whose settings come from a file too."""

    @property
    def file(self):
        return self.data / 'jackdaw.conf'

    def options(self, more=()):
        return ['--config', str(self.file), *super().options(more)]


def test_a_reload_closes_what_is_denied(authority, placement):
    a, b = FromFile('a.test', '127.0.3.1', authority), Peer('b.test', '127.0.3.2', authority)
    a.know('b.test', b.ip, b.s2s_port)
    b.know('a.test', a.ip, a.s2s_port)
    try:
        a.file.write_text('')
        a.start(), b.start()
        a.user('romeo'), b.user('juliet')
        romeo, juliet = a.client('romeo'), b.client('juliet')
        for c in (romeo, juliet):
            c.send('<presence/>')
            c.ping()
        juliet.send(message(romeo.jid, 'before'))
        assert body(romeo.wait_for('message')) == 'before'
        assert len(a.listing()['incoming']) == 1
        a.file.write_text('s2s {\n    deny = {"b.test"}\n}\n')
        a.of('s2s').signal(signal.SIGHUP)
        until = time.monotonic() + WAIT
        while a.listing()['incoming'] or 'policy-violation' not in log_of(a):
            assert time.monotonic() < until, log_of(a)
            time.sleep(0.1)
        romeo.send(message(juliet.jid, 'no more', 'm2'))
        error = romeo.wait_for('message', type='error', id='m2')
        assert error.find('c:error/st:not-allowed', NS) is not None
        a.file.write_text('')
        a.of('s2s').signal(signal.SIGHUP)
        until = time.monotonic() + WAIT
        while log_of(a).count('reloaded configuration') < 2:
            assert time.monotonic() < until, log_of(a)
            time.sleep(0.1)
        romeo.send(message(juliet.jid, 'again'))
        assert body(juliet.wait_for('message', WAIT)) == 'again'
    finally:
        a.remove(), b.remove()


def until_known(server, name, known):
    """The router has the name, or has it no more."""
    until = time.monotonic() + WAIT
    while (name in server.status()['components']['router']['names']) != known:
        assert time.monotonic() < until
        time.sleep(0.1)


def until_waiting(server, names, count):
    """So many stanzas wait in these s2s for other servers."""
    until = time.monotonic() + WAIT
    while sum(server.status()['components'][name]['queued'] for name in names) != count:
        assert time.monotonic() < until
        time.sleep(0.1)


def asked(client, domains):
    """Each domain answers a question of the client's; the order is theirs."""
    for domain in domains:
        client.send(f"<iq to='{domain}' type='get' id='{domain}'><query xmlns='jabber:iq:version'/></iq>")
    answers = [client.wait_for('iq', WAIT) for _ in domains]
    assert {a.get('id'): a.get('type') for a in answers} == {domain: 'result' for domain in domains}


def test_two_s2s_share_the_world(authority, placement):
    """Each domain goes through one of a's two s2s; b asks the first about all keys, and gets the right answers."""
    more = [f'b{i}.test' for i in range(1, 6)]
    domains = ['b.test', *more]
    a = Peer('a.test', '127.0.3.1', None, ['s2s.require_certificate=false', 's2s.queue_time=600'], placement='processes')
    b = Peer('b.test', '127.0.3.2', None, ['s2s.require_certificate=false', 's2s.bidi=false'])
    for domain in domains:
        a.know(domain, b.ip, b.s2s_port)
    b.know('a.test', a.ip, a.s2s_port)
    of_b = b.options
    b.options = lambda extra=(): [*of_b(extra), *(o for d in more for o in ('--domain', d))]
    try:
        a.start(), b.start()
        a.start_one('s2s-2', ['s2s.id=s2s-2', f's2s.port={free_port()}'])
        until_known(a, 's2s-2', True)
        a.user('romeo')
        romeo = a.client('romeo')
        asked(romeo, domains)
        sent = {name: a.status()['components'][name]['stanzas_out'] for name in ('s2s', 's2s-2')}
        assert sent['s2s'] > 0 and sent['s2s-2'] > 0, sent
        states = {d['domain']: d['pairs'][0]['state'] for d in a.listing()['domains'] if d['pairs']}
        assert states == {domain: 'open' for domain in domains}
        for domain in domains:
            b.command('user', 'add', f'juliet@{domain}', '--password-stdin', stdin=b.password + '\n')
        b.of('s2s').kill()
        for domain in domains:
            romeo.send(f"<message to='juliet@{domain}' type='chat'><body>{domain}</body></message>")
        until_waiting(a, ('s2s', 's2s-2'), len(domains))
        a.processes['s2s-2'].kill()  # the other takes its share over, and what it had in its queues
        until_known(a, 's2s-2', False)
        b.start_one('serve')
        asked(romeo, domains)
        for domain in domains:
            juliet = Raw(b.port, domain, b.ca)
            juliet.login('juliet', b.password)
            juliet.send('<presence/>')
            assert body(juliet.wait_for('message', WAIT)) == domain
            juliet.close()
        del a.processes['s2s-2']
    finally:
        a.remove(), b.remove()


# ---- strangers ----

class Stranger(Raw):
    """Speaks to the s2s port in whatever name it likes."""

    def hello(self, from_, to):
        self.restart()
        self.send(f"<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' "
                  f"xmlns:db='jabber:server:dialback' from='{from_}' to='{to}' version='1.0'>")
        return self.next()


@pytest.fixture(scope='module')
def house(authority):
    a = Peer('a.test', '127.0.3.1', authority, ['s2s.max_per_address=0'])
    try:
        a.start()
        a.user('romeo')
        yield a
        a.stop()
    finally:
        a.remove()


def test_strangers_get_nothing_through(house, placement):
    def stranger():
        return Stranger(house.s2s_port, 'a.test', house.ca, ip=house.ip)

    romeo = house.client('romeo')
    romeo.send('<presence/>')
    romeo.ping()
    s = stranger()  # in our own name
    assert s.hello('a.test', 'a.test').find('se:invalid-from', NS) is not None
    s = stranger()  # in one of its own, without proof
    assert s.hello('evil.test', 'a.test').find('tls:starttls/tls:required', NS) is not None
    s.send("<message from='x@evil.test' to='romeo@a.test'><body>boo</body></message>")
    assert s.stream_error()[0] == 'not-authorized'
    # TLS without a certificate: no EXTERNAL is offered, and dialback is refused for want of one
    s = stranger()
    s.hello('evil.test', 'a.test')
    s.starttls()
    features = s.hello('evil.test', 'a.test')
    assert s.mechanisms(features) == []
    s.send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>")
    assert local(s.next()) == 'failure'
    s.send("<db:result from='evil.test' to='a.test'>key</db:result>")
    answer = s.next()
    assert answer.get('type') == 'error' and answer.find('.//st:not-authorized', NS) is not None
    s.send("<message from='x@evil.test' to='romeo@a.test'><body>boo</body></message>")
    assert s.stream_error()[0] == 'not-authorized'
    assert 'boo' not in romeo.nothing()


def test_plaintext_behind_starttls(house, placement):
    s = Stranger(house.s2s_port, 'a.test', house.ca, ip=house.ip)
    s.hello('evil.test', 'a.test')
    s.send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/><db:result from='evil.test' to='a.test'>k</db:result>")
    assert s.stream_error()[0] == 'policy-violation'
