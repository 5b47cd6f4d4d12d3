"""The other server is killed with -9 and started again while both sides write without pause: ours, Prosody, ejabberd, jabberd2.

What is guaranteed for a message of a client of ours to a user of theirs:

* sent while they were away (and for no longer than s2s.queue_time): they get it, once, in order;
* sent before they died: it arrives, or they had acknowledged it. They acknowledge by XEP-0198 (ours always; Prosody 0.12 when it
  was proven by certificate, since it announces that after SASL alone) or by the answer to a ping behind it (Prosody by dialback;
  ejabberd 23.01 and jabberd2 2.7.0, whose s2s know no XEP-0198). It may arrive twice when the acknowledgement died with them,
  and only then. Ours acknowledges what it has handled (reliability.md C.1), so that between two of ours nothing is lost to a
  user whose client acknowledges; the others acknowledge what they have read;
* in each case in the order of sending, and our clients stay connected.

Our clients speak XEP-0198, so that they know what the other server has acknowledged: sm.outbox_after is so long that our own disk
never does it instead.

What their clients had written to them and they had not passed on is lost with them; nothing of theirs comes twice.
"""
import collections
import os
import time

import pytest

from crowd import Crowd, Member, account, overtakings
from ejabberd import Ejabberd
from prosody import Names, Prosody
from raw import Raw
from test_jabberd2 import SCHEMA, register  # noqa: F401
from test_jabberd2_s2s import Jabberd2, by_dns, record
from test_s2s import Peer, authority  # noqa: F401 (a fixture)

pytestmark = pytest.mark.peers

USERS, KILLS = 6, int(os.environ.get('JACKDAW_TEST_KILLS', '1'))
OUR_IP, THEIR_IP = '127.0.4.9', '127.0.4.10'


def pytest_generate_tests(metafunc):
    """Our side is one process; test_kill_all.py has it in five."""
    if 'kind' in metafunc.fixturenames:
        metafunc.parametrize('kind', PEERS)


def connect(server, name):
    return Raw(server.port, server.domain, server.ca).authenticate(name, server.password)


class Ours:
    settling = 0  # seconds
    pause = 0.05  # between two messages of one user
    forgets = False
    handles = True  # it acknowledges what its clients have acknowledged, or what is on its disk

    def __init__(self, authority, dialback):
        self.server = Peer('p.jd', THEIR_IP, authority, ['s2s.require_certificate=false'] if dialback else [])

    def start(self):
        if self.server.processes:
            self.server.start_one('serve')
        else:
            self.server.start()

    def add(self, name):
        self.server.user(name)

    def kill(self):
        self.server.of('s2s').kill()

    def client(self, name):
        return connect(self.server, name)


class Theirs(Ours):
    """Prosody or ejabberd."""
    handles = False

    def start(self):
        self.server.start()

    def kill(self):
        self.server.kill()

    def client(self, name):
        raw = Raw(self.server.port, self.server.domain, self.server.ca, ip=self.server.ip)
        return raw.authenticate(name, self.server.password, mechanism='PLAIN')


class OfProsody(Theirs):
    def __init__(self, authority, dialback):
        self.server = Prosody('p.jd', THEIR_IP, authority, f's2s_secure_auth = {"false" if dialback else "true"}\n')


class Quiet(Ejabberd):
    loglevel = 'info'  # its log of everything costs more than all else


class OfEjabberd(Theirs):
    pause = 0.2  # it takes long to start, and what waits meanwhile has to be worked off
    settling = 3  # Mnesia writes its log with delay: accounts made just before a kill are gone
    forgets = True  # what comes between bind and presence, as after a restart: it stores that for the next login

    def __init__(self, authority, dialback):
        self.server = Quiet('p.jd', THEIR_IP, authority, 's2s_use_starttls: required')


class OfJabberd2(Theirs):
    def __init__(self, authority, dialback):
        self.server = Jabberd2('p.jd', THEIR_IP)

    def add(self, name):
        register(self.server, name)

    def client(self, name):
        raw = Raw(self.server.port, self.server.domain)
        return raw.authenticate(name, self.server.password, tls=False, mechanism='PLAIN')


Kind = collections.namedtuple('Kind', 'peer dialback')
PEERS = {'ours': Kind(Ours, False), 'ours by dialback': Kind(Ours, True), 'Prosody': Kind(OfProsody, False),
         'Prosody by dialback': Kind(OfProsody, True), 'ejabberd': Kind(OfEjabberd, False), 'jabberd2': Kind(OfJabberd2, True)}


@pytest.fixture
def world(authority):  # noqa: F811
    made = []

    def make(kind):
        cls, dialback = PEERS[kind]
        ca = None if dialback else authority
        settings = [*(['s2s.require_certificate=false'] if dialback else []), *(['s2s.tls=optional'] if cls is OfJabberd2 else [])]
        # Some of them take long to start on a busy machine: what waits has time, and is soon tried again.
        patient = ['sm.outbox_after=60000', 's2s.queue_time=600', 's2s.retry_max=10']
        us = Peer('a.jd', OUR_IP, ca, [*settings, *patient, *by_dns()])
        us.settings.remove('resolver.forwarders=127.0.0.1@1')
        them = cls(ca, dialback)
        if cls is Ours:
            them.server.settings += by_dns()
            them.server.settings.remove('resolver.forwarders=127.0.0.1@1')
        made.extend([us, them.server, Names(record(us) + record(them.server))])
        us.start()
        them.start()
        for i in range(USERS):
            us.user(f'u{i}')
            them.add(f'v{i}')
        return us, them
    yield make
    for s in made[:2]:  # pytest shows it after a failure
        print(f'--- {s.domain}\n' + (s.of('s2s').text() if isinstance(s, Peer) else s.text()[-3000:]))
    for m in made:
        m.close() if isinstance(m, Names) else m.remove()


class Fault:
    """From the kill to the moment when every pair was heard again."""

    def __init__(self, crowd, them):
        crowd.burst(3)
        crowd.run_for(crowd.random.random() * 0.03)  # so that it is in the middle of something
        self.begun = time.monotonic()
        them.kill()
        crowd.run_for(1)
        self.started = time.monotonic()
        them.start()
        crowd.run_until_heard(self.started, 120)
        self.over = time.monotonic()

    def cut_off(self, m):
        """Sent before, and not acknowledged by then, as far as its sender knew."""
        return m.sent <= self.begun and not (m.acked and m.acked < self.begun)

    def took(self, m):
        """They had acknowledged it (while they are away nobody does), and died with it."""
        return m.sent <= self.begun and m.acked and m.acked < self.started


def what_was_stored(crowd, faults):
    """Their users log in once more, for what waits for that; not while something is on its way to them: it would be lost with their
    streams, which know no XEP-0198."""
    def missing():
        return [m for m in crowd.messages.values() if m.sender.endswith('a.jd') and not m.delivered and not m.bounced and
                not any(f.took(m) for f in faults)]
    end = time.monotonic() + 10
    crowd.run(lambda: not missing() or time.monotonic() > end)
    for m in crowd.members:
        if m.jid.endswith('p.jd'):
            crowd.lost(m, 'logs in again')
    crowd.run(lambda: not missing(), 30, lambda: f'not delivered: {missing()[:5]}')


def test_killed_with_messages_in_flight(world, kind):
    us, them = world(kind)

    def people(letter, domain, client, other, their_domain, acks):
        return [Member(f'{letter}{i}@{domain}', lambda i=i: client(f'{letter}{i}'),
                       [f'{other}{i}@{their_domain}', f'{other}{(i + 1) % USERS}@{their_domain}'], acks) for i in range(USERS)]
    crowd = Crowd(people('u', 'a.jd', lambda name: connect(us, name), 'v', 'p.jd', True) +
                  people('v', 'p.jd', them.client, 'u', 'a.jd', them.handles), pause=them.pause)
    crowd.run_until_heard(time.monotonic(), 40)
    crowd.run_for(them.settling)
    faults = []
    for _ in range(KILLS):
        crowd.run_for(0.5)
        faults.append(Fault(crowd, them))
    crowd.finish()
    if them.forgets:
        what_was_stored(crowd, faults)
    messages = list(crowd.messages.values())
    ours, theirs = ([m for m in messages if m.sender.endswith(d)] for d in ('a.jd', 'p.jd'))
    taken = [m for m in ours if not m.delivered and not m.bounced and not them.handles and any(f.took(m) for f in faults)]
    print(f'{kind}: {len(taken)} messages were acknowledged and died with them')
    for side, those in (('ours', [m for m in ours if m not in taken]), ('theirs', theirs)):
        print(f'{kind}: messages of {side}: {account(those, faults)}')
    assert not [jid for _, jid, _ in crowd.losses if jid.endswith('a.jd')], 'clients of ours were disconnected'
    for m in ours:
        assert m.delivered or m.bounced or m in taken, f'lost, and nobody had acknowledged it: {m}'
        assert len(m.delivered) <= 1 + sum(f.cut_off(m) for f in faults), f'sent again without need: {m}'
    for m in theirs:  # clients of ours resume, and send again what was not acknowledged to them
        assert len(m.delivered) <= 1 + them.handles * sum(f.cut_off(m) for f in faults), f'sent again without need: {m}'
    assert them.forgets or not list(overtakings(messages))
