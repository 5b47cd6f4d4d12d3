"""Two c2s and two session managers for one domain, each a process: users of either talk with those of the other, and each of the four
may be killed and come back; who was not at the one that died notices nothing."""
import itertools
import time

import pytest

from conftest import Server, free_port
from raw import Raw
from sasl2 import SM

USERS = 8  # both session managers have some of them: their names are hashed
LONG = 60


class Pair(Server):
    """router, sm-1, sm-2, c2s-1, c2s-2."""

    def __init__(self):
        super().__init__('processes')
        self.ports = {'c2s-1': self.port, 'c2s-2': free_port()}
        self.more = {'c2s-1': ['c2s.id=c2s-1', f'c2s.resume_location=127.0.0.1:{self.port}'], 'sm-1': ['sm.id=sm-1'], 'sm-2': ['sm.id=sm-2'],
                     'c2s-2': ['c2s.id=c2s-2', f'c2s.port={self.ports["c2s-2"]}', f'c2s.tls_port={free_port()}',
                               f'c2s.resume_location=127.0.0.1:{self.ports["c2s-2"]}']}

    names = ['router', 'sm-1', 'sm-2', 'c2s-1', 'c2s-2']

    def start_one(self, name, more=()):
        super().start_one(name, [*more, *self.more.get(name, [])])

    def kill(self, name):
        """And waits until the router knows: what it hands to a socket that has just closed is lost to who has no acknowledgements."""
        router = self.processes['router']
        seen = len(router.log)
        self.processes[name].kill()
        until = time.monotonic() + LONG
        while name != 'router' and not any(f' {name} is offline' in line for line in router.log[seen:]):
            assert time.monotonic() < until, router.text()
            time.sleep(0.01)

    def start_again(self, name):
        """And waits until the router knows it; when it was the router itself, for nobody: who comes back first does not take
        itself for the only one (docs/decisions/0087-awaited-names.md)."""
        seen = len(self.processes['router'].log)
        self.start_one(name)
        router, until = self.processes['router'], time.monotonic() + LONG
        while name != 'router' and not any(f' {name} is online' in line for line in router.log[seen:]):
            assert time.monotonic() < until, router.text()
            time.sleep(0.01)

    def login(self, name, c2s):
        client = Raw(self.ports[c2s], self.domain, self.ca)
        client.authenticate(name, self.password)
        client.bind(c2s)
        client.send('<presence/>')
        client.ping()
        return client


@pytest.fixture
def pair():
    server = Pair()
    try:
        server.start()
        csv = server.data / 'users.csv'
        csv.write_text(''.join(f'u{i}@{server.domain},{server.password}\n' for i in range(USERS)))
        server.command('user', 'import', str(csv))
        yield server
    finally:
        server.remove()


def everybody_talks(server, clients, numbers):
    """Each writes to each other; all of it arrives, once and in order."""
    first, second = next(numbers), next(numbers)
    for i, client in clients.items():
        for k in clients:
            for n in (first, second) if k != i else ():
                client.send(f"<message to='u{k}@{server.domain}' type='chat' id='{n}'><body>{n}</body></message>")
    for i, client in clients.items():
        got = {f'u{k}': [] for k in clients if k != i}
        while any(len(ids) < 2 for ids in got.values()):
            message = client.wait_for('message', LONG)
            assert message.get('type') != 'error', message.attrib
            got[message.get('from').split('@')[0]].append(int(message.get('id')))
        assert all(ids == [first, second] for ids in got.values()), got


def test_two_of_each(pair):
    numbers = itertools.count()
    clients = {i: pair.login(f'u{i}', f'c2s-{1 + i % 2}') for i in range(USERS)}
    everybody_talks(pair, clients, numbers)
    shared = pair.status()['components']
    assert {'sm-1', 'sm-2', 'c2s-1', 'c2s-2'} <= set(shared)
    assert all(shared[name]['sessions'] > 0 for name in ('sm-1', 'sm-2', 'c2s-1', 'c2s-2')), 'users are not spread'
    for name in ('sm-2', 'sm-1', 'router'):
        pair.kill(name)
        if name != 'router':
            everybody_talks(pair, clients, numbers)  # the other one has all of them
        pair.start_again(name)
        everybody_talks(pair, clients, numbers)
    pair.kill('c2s-2')
    stayed = {i: c for i, c in clients.items() if i % 2 == 0}
    everybody_talks(pair, stayed, numbers)
    for i in clients.keys() - stayed.keys():  # they log in where they can
        clients[i] = pair.login(f'u{i}', 'c2s-1')
    everybody_talks(pair, clients, numbers)
    pair.start_again('c2s-2')
    clients[1].close()
    clients[1] = pair.login('u1', 'c2s-2')
    everybody_talks(pair, clients, numbers)
    for client in clients.values():
        client.close()
    pair.stop()


def resume(pair, where, previd, h):
    """u0's stream goes on there, and breaks again."""
    client = Raw(pair.ports[where], pair.domain, pair.ca)
    client.authenticate('u0', pair.password)
    client.send(f"<resume xmlns='{SM}' previd='{previd}' h='{h}'/>")
    assert client.wait_for('resumed', LONG).get('previd') == previd
    client.ping()
    client.close()


def test_resumed_at_either(pair):
    """XEP-0198: each c2s says where it is itself, and a session goes on at whichever its client comes to."""
    first = pair.login('u0', 'c2s-2')
    first.send(f"<enable xmlns='{SM}' resume='true'/>")
    enabled = first.wait_for('enabled', LONG)
    assert enabled.get('location') == f'127.0.0.1:{pair.ports["c2s-2"]}'
    previd = enabled.get('id')
    first.close()
    pair.kill('c2s-2')
    resume(pair, 'c2s-1', previd, 0)
    pair.start_again('c2s-2')
    resume(pair, 'c2s-2', previd, 1)
    pair.stop()
