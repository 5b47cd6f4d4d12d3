"""Federation with jabberd2 2.7.0 (Debian's), found by DNS from either side; and its s2s on our router, ours on its. Since 2.2
jabberd2 has no resolver process: its s2s asks the name server of its own /etc/resolv.conf. It knows dialback only.

TLS is tried by itself. Whenever jabberd2's s2s has made a TLS connection it leaves an error in OpenSSL's queue (it registers the
object id of XmppAddr, which OpenSSL 3 knows already: "oid exists"), and the next connection that it reads from is closed for that,
with all that it has not read. What we had sent on it is gone, and nobody is told: no acknowledgements exist between the two.
"""
import subprocess
from pathlib import Path

import pytest

from conftest import free_port
from prosody import DNS, Names
from raw import WAIT
from test_jabberd2 import SECRET, Mixed, jabberd2, login, register  # noqa: F401 (jabberd2 is a fixture)
from test_s2s import PLACEMENTS, Peer, body, message  # noqa: F401

pytestmark = pytest.mark.peers

OUR_IP, THEIR_IP = '127.0.4.5', '127.0.4.6'


class Jabberd2(Mixed):
    """Processes of theirs with an s2s (theirs or ours) at `ip`; `ours` are those that are ours."""

    def __init__(self, domain, ip, ours=(), tls=False, settings=()):
        super().__init__([], *settings, domain=domain)
        self.mine, self.ip, self.s2s_port, self.tls = list(ours), ip, free_port(), tls
        secret = self.data / 'their-secret'
        secret.write_text(SECRET + '\n')
        secret.chmod(0o600)
        if 'router' not in ours:
            self.settings.append(f'router.secret_file={secret}')
        self.settings += ['s2s.enabled=true', f's2s.address={ip}', f's2s.port={self.s2s_port}', 's2s.require_certificate=false',
                          's2s.tls=optional', *by_dns()]
        (self.data / 'resolv.conf').write_text(f'nameserver {DNS}\n')

    # jabberd2's c2s talks to clients without TLS here; see Mixed
    clients_use_tls = property(lambda self: 'c2s' in self.mine)

    def certificate(self):
        pem = self.data / 'jabberd2.pem'
        if not pem.exists():
            subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout',
                            pem, '-out', f'{pem}.crt', '-days', '30', '-subj', f'/CN={self.domain}', '-addext',
                            f'subjectAltName=DNS:{self.domain}'], check=True, capture_output=True)
            pem.write_text(pem.read_text() + Path(f'{pem}.crt').read_text())
        return str(pem)

    def their_s2s(self):
        more = {'local__pemfile': self.certificate()} if self.tls else {}
        s2s = self.attach('s2s', resolv_conf=self.data / 'resolv.conf', local__ip=self.ip, local__port=str(self.s2s_port),
                          check__interval='1', check__queue='30', check__retry='1', check__dnscache='0',
                          lookup__bad_host_timeout='1', **more)
        return s2s.wait_log('ready for connections')

    def start(self):
        if 'router' in self.mine:
            self.start_one('router')
        else:
            self.their_router()
        for name, begin in (('sm', self.their_sm), ('c2s', self.their_c2s), ('s2s', self.their_s2s)):
            if name in self.mine:
                self.start_one(name)
            else:
                begin()
        if 'resolver' in self.mine:
            self.start_one('resolver')
        return self

    def text(self):
        return '\n'.join(f'--- {t.name}\n' + '\n'.join(t.log[-30:]) for t in self.theirs)

    def kill(self):
        for their in self.theirs:
            their.stop()
        for process in self.processes.values():
            process.kill()
        self.theirs, self.processes = [], {}


def record(server):
    return [f'_xmpp-server._tcp.{server.domain}. 60 IN SRV 0 0 {server.s2s_port} h.{server.domain}.',
            f'h.{server.domain}. 60 IN A {server.ip}']


def by_dns():
    """Settings of ours: real questions to the same server."""
    return ['resolver.resolv_conf=', f'resolver.forwarders={DNS}', 'resolver.trust_anchor=none', 'resolver.hosts=']


@pytest.fixture
def world():
    made = []

    def make(ours=(), tls=False, settings=()):
        them = Jabberd2('j.jd', THEIR_IP, ours, tls, settings)
        made.append(them)
        us = Peer('a.jd', OUR_IP, None, ['s2s.require_certificate=false', 's2s.tls=' + ('required' if tls else 'optional'), *by_dns()])
        us.settings.remove('resolver.forwarders=127.0.0.1@1')
        made.append(us)
        made.append(Names(record(us) + record(them)))
        us.start()
        them.start()
        us.user('romeo')
        register(them, 'juliet')
        return us, them
    yield make
    for m in made:
        if isinstance(m, Names):
            m.close()
            continue
        if isinstance(m, Jabberd2):
            print(m.text())
        print('\n'.join(f'--- {m.domain} {n}\n' + p.text() for n, p in m.processes.items()))
        m.remove()


def both(us, them):
    """romeo at ours, juliet at theirs, present."""
    romeo = us.client('romeo')
    romeo.send("<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq><presence/>")
    romeo.wait_for('iq', id='r')
    return romeo, login(them, 'juliet', 'SCRAM-SHA-256' if them.clients_use_tls else 'PLAIN')


def talk(one, other, count=10):
    for i in range(count):
        one.send(message(other.jid, f'{one.domain} &lt;{i}&gt; \u00fc', f'm{i}'))
    for i in range(count):
        got = other.wait_for('message', WAIT)
        assert (got.get('from'), body(got)) == (one.jid, f'{one.domain} <{i}> \u00fc')


def subscribe(romeo, juliet):
    """In both directions, and presence follows."""
    for one, other in ((romeo, juliet), (juliet, romeo)):
        bare = other.jid.split('/')[0]
        one.send(f"<presence to='{bare}' type='subscribe'/>")
        assert other.wait_for('presence', WAIT, type='subscribe').get('from') == one.jid.split('/')[0]
        other.send(f"<presence to='{one.jid.split('/')[0]}' type='subscribed'/>")
        seen = set()
        while not {('subscribed', bare), (None, other.jid)} <= seen:  # and its own
            got = one.wait_for('presence', WAIT)
            seen.add((got.get('type'), got.get('from')))
    juliet.send("<presence type='unavailable'/>")
    assert romeo.wait_for('presence', WAIT, type='unavailable').get('from') == juliet.jid


MIXTURES = {
    'theirs': [],
    'their c2s and s2s on our router with our sm': ['router', 'sm'],
    'their s2s on our router': ['router', 'sm', 'c2s'],
    'our sm on their router': ['sm'],
    'our s2s and resolver on their router': ['s2s', 'resolver'],
}


@pytest.mark.parametrize('first', ['ours', 'theirs'])
@pytest.mark.parametrize('mixture', MIXTURES)
def test_federation(world, mixture, first, placement):
    us, them = world(MIXTURES[mixture])
    romeo, juliet = both(us, them)
    turns = [(romeo, juliet), (juliet, romeo)]
    for one, other in turns if first == 'ours' else reversed(turns):
        talk(one, other)
    romeo.send("<iq to='j.jd' type='get' id='v'><query xmlns='jabber:iq:version'/></iq>")
    assert romeo.wait_for('iq', WAIT, id='v').get('type') == 'result'
    subscribe(romeo, juliet)
    us.stop()


def until_it_arrives(one, other, tries=10):
    """See above. Whatever arrives has come once."""
    seen = []
    for i in range(tries):
        one.send(message(other.jid, str(i), f'm{i}'))
        try:
            while True:
                seen.append(body(other.wait_for('message', 3)))
        except TimeoutError:
            if seen:
                assert seen == sorted(set(seen))
                return
    raise AssertionError('nothing arrives over TLS')


def test_over_tls(world, placement):
    us, them = world(tls=True)
    romeo, juliet = both(us, them)
    until_it_arrives(juliet, romeo)
    until_it_arrives(romeo, juliet)
    assert us.listing()['domains'][0]['pairs'][0]['tls'] is True
