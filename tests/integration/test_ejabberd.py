"""Federation with ejabberd 23.01: by certificate, and by dialback with what nobody vouches for."""
import pytest

from ejabberd import Ejabberd
from prosody import Names
from raw import WAIT, Raw
from test_jabberd2_s2s import subscribe
from test_s2s import PLACEMENTS, Peer, authority, body, message  # noqa: F401

pytestmark = pytest.mark.peers

OUR_IP, THEIR_IP = '127.0.4.3', '127.0.4.4'


@pytest.fixture
def world(authority):
    made = []

    def make(kind, ours=()):
        by_dialback = kind == 'dialback'
        ca = None if by_dialback else authority
        us = Peer('a.jd', OUR_IP, ca, [*(['s2s.require_certificate=false'] if by_dialback else []), *ours])
        made.append(us)
        them = Ejabberd('e.jd', THEIR_IP, ca, 's2s_use_starttls: required')
        made.append(them)
        made.append(Names(['_xmpp-server._tcp.a.jd. 60 IN SRV 0 0 %d h.a.jd.' % us.s2s_port, f'h.a.jd. 60 IN A {OUR_IP}']))
        us.know('e.jd', THEIR_IP, them.s2s_port)
        us.start()
        them.start()
        us.user('romeo'), them.user('juliet')
        return us, them
    yield make
    for m in made:
        m.close() if isinstance(m, Names) else m.remove()


def both(us, them):
    romeo = us.client('romeo')
    juliet = Raw(them.port, them.domain, them.ca, ip=them.ip)
    juliet.login('juliet', them.password, mechanism='PLAIN')
    for c in (romeo, juliet):  # who has asked for the roster hears of subscriptions
        c.send("<iq type='get' id='roster'><query xmlns='jabber:iq:roster'/></iq><presence/>")
        c.ping()
    return romeo, juliet


@pytest.mark.parametrize('kind', ['certificate', 'dialback'])
def test_subscription(world, kind, placement):
    us, them = world(kind)
    subscribe(*both(us, them))
    us.stop()


@pytest.mark.parametrize('kind', ['certificate', 'dialback'])
@pytest.mark.parametrize('first', ['ours', 'theirs'])
def test_messages_both_ways(world, kind, first, placement):
    us, them = world(kind)
    romeo, juliet = both(us, them)
    turns = [(romeo, juliet), (juliet, romeo)]
    for one, other in turns if first == 'ours' else reversed(turns):
        one.send(message(other.jid, f'from {one.domain}'))
        try:
            got = other.wait_for('message', WAIT)
        except TimeoutError:
            raise AssertionError(us.of('s2s').text() + '\n\n' + them.text())
        assert got.get('from') == one.jid and body(got) == f'from {one.domain}'
    us.stop()
