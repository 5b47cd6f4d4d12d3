"""kill -9 of each of the five processes under the traffic of fifty users, here and on another server, and the account that
must balance (reliability.md C.1, C.2). Twice each here; JACKDAW_TEST_KILLS=10 kills ten times:

    JACKDAW_TEST_KILLS=10 make test TEST_ARGS='integration -k kill_all'

Every message has a number. It is to a user here, to one there, to one who is away (stored, and fetched when all is over), or
to a domain that does not exist (the resolver finds out; it comes back).

Every other client has acknowledgements (XEP-0198). A message of such a client counts as acknowledged when an <a/> or <resumed/>
covers it, and as nothing before: not when it was written, not when the server has read it. In the end every one is acknowledged,
since who had to come back resumed its session and sent again what was not covered. A message of the other clients is never
acknowledged: the message is known to be there when it arrives or comes back. What must hold:

* what was acknowledged arrived or came back (G1), whatever was killed;
* what was not arrived, or came back, or was lost *in a fault*: sent before the component was back and nothing later of that pair
  arrived before the kill;
* it arrived at most once, and one time more for each fault between its sending and its last copy (G3);
* not both, arrived and back, without a fault between (G5);
* the first copies of a pair arrived in the order they were sent (G4); when a c2s was killed, what was on its way to it may be
  stored behind what came after it;
* nobody lost his connection but the clients of a c2s that was killed (G6, G7);
* traffic of every pair is flowing again after the restart.
"""
import os
import time

import pytest

from crowd import Crowd, Member, account, overtakings
from prosody import DNS, Names
from raw import Raw
from test_s2s import Peer, authority  # noqa: F401 (a fixture)

KILLS = int(os.environ.get('JACKDAW_TEST_KILLS', '2'))
HERE, THERE, AWAY = 25, 25, 4
COMPONENTS = ['resolver', 's2s', 'sm', 'router', 'c2s']


def pytest_generate_tests(metafunc):
    if 'component' in metafunc.fixturenames:
        metafunc.parametrize('component', COMPONENTS)


class Town:
    """a.jd in five processes, b.jd in one, DNS; a crowd on both."""

    def __init__(self, ca):
        dns = ['resolver.resolv_conf=', f'resolver.forwarders={DNS}', 'resolver.trust_anchor=none', 'resolver.hosts=',
               's2s.queue_time=15', 'sm.max_offline=100000']
        self.a = Peer('a.jd', '127.0.4.7', ca, dns, placement='processes')
        self.b = Peer('b.jd', '127.0.4.8', ca, dns)
        for s in (self.a, self.b):
            s.settings.remove('resolver.forwarders=127.0.0.1@1')
        self.names = Names([r for s in (self.a, self.b) for r in (
            f'_xmpp-server._tcp.{s.domain}. 60 IN SRV 0 0 {s.s2s_port} h.{s.domain}.', f'h.{s.domain}. 60 IN A {s.ip}')])
        self.b.start()
        for name in ('s2s', 'c2s', 'resolver', 'sm', 'router'):  # any order
            self.a.start_one(name)
        self.add(self.a, [f'u{i}' for i in range(HERE)] + [f'away{i}' for i in range(AWAY)])
        self.add(self.b, [f'v{i}' for i in range(THERE)])
        self.crowd = Crowd(
            [self.member(self.a, f'u{i}', [f'u{(i + 1) % HERE}@a.jd', f'v{i}@b.jd', f'away{i % AWAY}@a.jd', 'x@n*.jd'], i % 2 == 0)
             for i in range(HERE)] +
            [self.member(self.b, f'v{i}', [f'u{i}@a.jd', f'v{(i + 1) % THERE}@b.jd'], i % 2 == 0) for i in range(THERE)], pause=0.2)

    def add(self, server, names):
        csv = server.data / 'users.csv'
        csv.write_text(''.join(f'{n}@{server.domain},{server.password}\n' for n in names))
        server.command('user', 'import', str(csv))

    def member(self, server, name, to, acks=False):
        def connect():
            return Raw(server.port, server.domain, server.ca).authenticate(name, server.password)
        return Member(f'{name}@{server.domain}', connect, to, acks)

    def close(self):
        self.names.close()
        for s in (self.a, self.b):
            print('\n'.join(f'--- {s.domain} {n}\n' + p.text() for n, p in s.processes.items()))
            s.remove()


@pytest.fixture(scope='module')
def town(authority):  # noqa: F811
    t = Town(authority)
    try:
        yield t
    finally:
        t.close()


class Fault:
    """From the kill to the moment when every pair was heard again."""

    def __init__(self, town, component):
        town.crowd.burst(3)
        town.crowd.run_for(town.crowd.random.random() * 0.03)  # so that it is in the middle of something
        self.begun = time.monotonic()
        town.a.processes[component].kill()
        town.crowd.run_for(0.3)
        started = time.monotonic()
        town.a.processes[component] = None
        town.a.start_one(component)
        town.crowd.run_until_heard(started)
        self.over = time.monotonic()
        self.took = self.over - started


def quiet(messages):
    """Whether nothing comes back any more: all that must has, or it has been silent for longer than s2s waits between tries."""
    due = [m for m in messages if m.to.startswith('x@')]
    return all(m.bounced for m in due) or time.monotonic() - max(m.bounced[-1] for m in due if m.bounced) > 5


def test_each_killed_under_traffic(town, component):
    crowd = town.crowd
    crowd.writing = True
    crowd.run_until_heard(time.monotonic())
    seen, losses, faults = set(crowd.messages), len(crowd.losses), []
    for _ in range(KILLS):
        crowd.run_for(0.5)
        faults.append(Fault(town, component))
    away = [town.member(town.a, f'away{i}', []) for i in range(AWAY)]
    for member in away:
        crowd.enter(member)
    crowd.finish()
    messages = [m for k, m in crowd.messages.items() if k not in seen]
    crowd.run(lambda: quiet(messages), 60)
    for member in away:
        crowd.leave(member)
    sums = account(messages, faults)
    print(f'{component}: {dict(sums)}; back after ' + ', '.join(f'{f.took:.1f}' for f in faults) + ' s')
    if component in ('resolver', 's2s'):
        assert not sums['lost in a fault'], 'what the dead one was asked, or had in its queues, is for the next'
    assert not sums['twice without delay'], 'a later copy says when the first one was sent (XEP-0203)'
    for m, earlier in overtakings(messages):
        assert component == 'c2s' and any(earlier.sent <= f.over and f.begun <= earlier.delivered[0] for f in faults), \
            f'{m} overtook {earlier}'
    lost = crowd.losses[losses:]
    assert all(jid.endswith('@a.jd') and component == 'c2s' for _, jid, _ in lost), f'disconnected: {lost}'
