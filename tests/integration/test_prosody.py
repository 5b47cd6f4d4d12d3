"""Federation with Prosody 0.12, which we did not write: by certificate, and by dialback with what nobody vouches for."""
import time

import pytest

from prosody import Names, Prosody
from raw import NS, WAIT, Raw
from test_s2s import PLACEMENTS, Peer, authority, body, message  # noqa: F401 (authority is a fixture)

pytestmark = pytest.mark.peers

OUR_IP, THEIR_IP = '127.0.4.1', '127.0.4.2'


@pytest.fixture
def world(authority):
    made = []

    def make(kind, ours=(), theirs=''):
        by_dialback = kind == 'dialback'
        ca = None if by_dialback else authority
        them = Prosody('p.jd', THEIR_IP, ca, 's2s_secure_auth = %s\n' % ('false' if by_dialback else 'true') + theirs)
        made.append(them)
        us = Peer('a.jd', OUR_IP, ca, [*(['s2s.require_certificate=false'] if by_dialback else []), *ours])
        made.append(us)
        names = Names(['_xmpp-server._tcp.a.jd. 60 IN SRV 0 0 %d h.a.jd.' % us.s2s_port, f'h.a.jd. 60 IN A {OUR_IP}'])
        made.append(names)
        us.know('p.jd', THEIR_IP, them.s2s_port)
        us.start()
        them.start()
        us.user('romeo'), them.user('juliet')
        return us, them
    yield make
    for m in made:
        m.close() if isinstance(m, Names) else m.remove()


def juliet_of(them):
    client = Raw(them.port, them.domain, them.ca, ip=them.ip)
    client.login('juliet', them.password, mechanism='PLAIN')
    client.send('<presence/>')
    return client


@pytest.mark.parametrize('bidi', ['true', 'false'])
@pytest.mark.parametrize('kind', ['certificate', 'dialback'])
@pytest.mark.parametrize('first', ['ours', 'theirs'])
def test_messages_both_ways(world, kind, bidi, first, placement):
    us, them = world(kind, [f's2s.bidi={bidi}'])
    romeo, juliet = us.client('romeo'), juliet_of(them)
    romeo.send('<presence/>')
    romeo.ping()
    turns = [(romeo, juliet), (juliet, romeo)]
    for one, other in turns if first == 'ours' else reversed(turns):
        one.send(message(other.jid, f'from {one.domain}'))
        try:
            got = other.wait_for('message', WAIT)
        except TimeoutError:
            raise AssertionError(us.of('s2s').text() + '\n\n' + them.text())
        assert got.get('from') == one.jid and body(got) == f'from {one.domain}'
    pairs = us.listing()['domains'][0]['pairs']
    assert pairs[0]['state'] == 'open' and pairs[0]['tls']
    us.stop()


def test_subscription(world, placement):
    us, them = world('certificate')
    romeo, juliet = us.client('romeo'), juliet_of(them)
    for c in (romeo, juliet):
        c.send("<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq><presence/>")
        c.wait_for('iq', id='r')
    romeo.send("<presence to='juliet@p.jd' type='subscribe'/>")
    assert juliet.wait_for('presence', type='subscribe').get('from') == 'romeo@a.jd'
    juliet.send("<presence to='romeo@a.jd' type='subscribed'/><presence to='romeo@a.jd' type='subscribe'/>")
    romeo.wait_for('presence', type='subscribe')
    romeo.send("<presence to='juliet@p.jd' type='subscribed'/>")
    assert juliet.wait_for('presence', type='subscribed') is not None
    until = time.monotonic() + WAIT
    seen = set()
    while romeo.domain not in seen and time.monotonic() < until:
        p = juliet.wait_for('presence')
        if p.get('type') is None and p.get('from', '').startswith('romeo@'):
            seen.add(romeo.domain)
    assert seen


def test_prosody_with_a_certificate_nobody_vouches_for(authority, world, placement):
    """We require certificates and it has none that counts: neither direction gets anything through."""
    us, them = world('dialback', ['s2s.require_certificate=true', 's2s.queue_time=5'])
    romeo, juliet = us.client('romeo'), juliet_of(them)
    romeo.send('<presence/>')
    romeo.send(message(juliet.jid, 'out'))
    error = romeo.wait_for('message', WAIT, type='error')
    assert error.find('c:error/st:remote-server-timeout', NS) is not None
    juliet.send(message(romeo.jid, 'in'))
    assert juliet.wait_for('message', WAIT, type='error') is not None
    assert romeo.nothing() == ''
