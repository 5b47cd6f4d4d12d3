"""Several loops in one process: everything that crosses them, in order and once; what a process has once - limits, accounts, the
data directory - holds over all of them; and two hundred clients while the configuration is read again and some of them are cut.
`make tsan` runs this file under ThreadSanitizer."""
import random
import signal
import sqlite3
import time

import pytest

from conftest import DOMAIN, Process, Server
from crowd import Crowd, Member
from raw import WAIT, Closed, Raw, local
from test_s2s import Peer, authority, body, message  # noqa: F401 (authority is a fixture)

PLACEMENTS = ['threads']
THREADS = True
PLAIN = ['c2s.tls=off', 'server.threads=4', 'c2s.rate=0']


def plain_client(server, name, resource='test'):
    client = Raw(server.port, server.domain)
    client.login(name, server.password, resource, tls=False)
    return client


def authenticated(server, name):
    return Raw(server.port, server.domain).authenticate(name, server.password, tls=False)


def accounts(server, count):
    """Made by one command, while nobody runs."""
    table = server.data / 'accounts.csv'
    table.write_text(''.join(f'u{i}@{DOMAIN},{server.password}\n' for i in range(count)))
    server.command('user', 'import', str(table))
    return [f'u{i}' for i in range(count)]


def instances(server, component):
    return server.status()['components'][component]['instances']


def until(condition, seconds=WAIT):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.parametrize('setting', ['store.url', 'store.accounts_url'])
def test_a_database_in_memory_is_refused(own_server, setting):
    """Each loop would have one of its own, and what one has stored the others would not find."""
    server = own_server(*PLAIN, f'{setting}=memory:')
    for command in ('serve', 'check'):
        refused = server.command(command, check=False)
        assert refused.returncode != 0 and 'memory:' in refused.stderr and 'sqlite:PATH' in refused.stderr, refused.stderr


def test_two_hundred_clients(own_server):
    server = own_server(*PLAIN)
    names = accounts(server, 200)
    server.start()
    jids = [f'{name}@{DOMAIN}' for name in names]
    members = [Member(jid, lambda name=name: authenticated(server, name), [jids[(i + k) % 200] for k in (1, 7, 100)], acks=i % 2 == 1)
               for i, (name, jid) in enumerate(zip(names, jids))]
    crowd = Crowd(members, pause=1.0)
    crowd.run_until_heard(0, 120)
    assert sum(1 for i in instances(server, 'sm').values() if i['sessions'] > 20) == 4  # by hash: 50 each, more or less
    assert sum(1 for i in instances(server, 'c2s').values() if i['sessions'] > 0) >= 3
    status = server.status()['components']
    assert status['c2s']['sessions'] == status['sm']['sessions'] == 200
    chance = random.Random(5)
    for round_ in range(4):
        server.of('c2s').signal(signal.SIGHUP)
        for member in chance.sample(members, 10):  # cut without a word
            if member.raw:
                crowd.lost(member, 'cut by the test')
        crowd.burst(3)
        crowd.run_for(1)
        assert server.status()['components']['c2s']['instances'].keys() == {'c2s-1', 'c2s-2', 'c2s-3', 'c2s-4'}
    crowd.run(lambda: all(m.raw for m in members), 60, 'not all are back')
    crowd.finish()
    lost = [m for m in crowd.messages.values() if not m.delivered and not m.bounced]
    # Those who were cut in the middle may have had some under way to them, or from them.
    cut = {jid for _, jid, why in crowd.losses}
    assert not [loss for loss in crowd.losses if loss[2] != 'cut by the test']
    assert not [m for m in lost if m.sender not in cut and m.to not in cut]
    for pair in crowd.pairs():
        arrived = sorted((m for m in crowd.messages.values() if (m.sender, m.to) == pair and m.delivered),
                         key=lambda m: m.arrival)
        if not cut & set(pair):
            assert [m.number for m in arrived] == sorted(m.number for m in arrived)
            assert all(len(m.delivered) == 1 for m in arrived)
    # What was in the buffers of a connection that is cut is lost to a client that acknowledges nothing.
    assert not [m for m in lost if m.acked and (m.to not in cut or crowd.by_jid[m.to].acks)]
    assert all(m.told > 5 for m in members[1::2] if m.jid not in cut)
    log = server.of('c2s').log
    server.stop()
    assert not [line for line in log if line.split()[1:2] == ['error']]


def test_a_limit_per_address_holds_over_all_loops(own_server):
    server = own_server(*PLAIN, 'c2s.max_per_address=9')
    server.start()
    held = [Raw(server.port, DOMAIN) for _ in range(9)]
    for client in held:
        client.open()
    for _ in range(5):
        refused = Raw(server.port, DOMAIN)
        with pytest.raises((Closed, OSError)):
            refused.open()
    held.pop().close()

    def one_more():
        client = Raw(server.port, DOMAIN)
        try:
            client.open()
        except (Closed, OSError):
            return False
        held.append(client)
        return True
    until(one_more)
    assert len([i for i in instances(server, 'c2s').values() if i['accepted']]) > 1
    server.stop()


def test_accounts_that_change_end_their_sessions_on_every_loop(own_server):
    server = own_server(*PLAIN)
    server.start()
    server.user('romeo')
    clients = [plain_client(server, 'romeo', f'r{i}') for i in range(12)]
    clients[0].send("<iq type='set' id='p'><query xmlns='jabber:iq:register'><username>romeo</username>"
                    '<password>another</password></query></iq>')
    clients[0].wait_for('iq', id='p', type='result')
    for client in clients[1:]:
        assert client.stream_error()[0]
    server.command('user', 'passwd', f'romeo@{DOMAIN}', '--password-stdin', stdin=server.password + '\n')
    assert clients[0].stream_error()[0]
    clients = [plain_client(server, 'romeo', f'r{i}') for i in range(12)]
    server.command('user', 'del', f'romeo@{DOMAIN}')
    for client in clients:
        assert client.stream_error()[0]
    server.stop()


def test_the_outbox_of_another_life(own_server):
    """What one sm had accepted and nobody confirmed, several sm send on: each row once."""
    server = own_server(*PLAIN)
    names = accounts(server, 12)
    server.start()
    for name in names:  # the sm knows them from their first session on
        plain_client(server, name).end()
    server.stop()
    base = sqlite3.connect(server.data / 'sm/jackdaw.db')
    for i, name in enumerate(names):
        xml = (f"<message xmlns='jabber:client' from='{name}@{DOMAIN}/x' to='{names[(i + 1) % 12]}@{DOMAIN}' type='chat' id='o{i}'>"
               f'<body>old {i}</body></message>')
        base.execute('INSERT INTO outbox ("collection-owner", "object-sequence", sm, xml) VALUES (?, ?, ?, ?)',
                     (f'{name}@{DOMAIN}', 1000 + i, 'sm', xml))
    base.commit()
    base.close()
    server.start()

    def left():
        base = sqlite3.connect(server.data / 'sm/jackdaw.db')
        try:
            return base.execute('SELECT count(*) FROM outbox').fetchone()[0]
        finally:
            base.close()
    until(lambda: left() == 0)
    for i, name in enumerate(names):
        client = plain_client(server, name)
        client.send('<presence/>')
        assert client.wait_for('message').get('id') == f'o{(i - 1) % 12}'
        client.ping()
        assert not [e for e in client.elements if local(e) == 'message']
    server.stop()


def test_what_a_process_has_once(own_server):
    server = own_server(*PLAIN)
    server.start()
    second = Process(['serve', *server.options(['server.placement=inline', 'c2s.port=0', 'router.port=0'])])
    assert second.popen.wait(WAIT) == 1
    assert 'already running' in second.text()
    third = Server('threads', PLAIN)
    third.settings.append(f'c2s.port={server.port}')
    try:
        process = Process(['serve', *third.options()])
        assert process.popen.wait(WAIT) == 1
        assert 'another program listens there' in process.text()
    finally:
        third.remove()
    server.stop()


def test_a_reload_with_a_fault_changes_no_loop(own_server):
    server = own_server('server.threads=4')
    config = server.data / 'jackdaw.conf'
    config.write_text('c2s { mechanisms = { "SCRAM-SHA-256" } }\n')
    plain_options = server.options
    server.options = lambda more=(): ['--config', str(config), *plain_options(more)]
    server.start()

    def offered():
        found = set()
        for _ in range(12):
            client = Raw(server.port, DOMAIN, server.ca)
            client.open()
            client.starttls()
            found.add(frozenset(client.mechanisms(client.open())))
            client.close()
        return found
    assert offered() == {frozenset(['SCRAM-SHA-256'])}
    config.write_text('c2s { mechanisms = { "SCRAM-SHA-1" }\n certificates = "/nowhere" }\n')
    assert server.command('reload', check=False).returncode != 0
    assert offered() == {frozenset(['SCRAM-SHA-256'])}
    config.write_text('c2s { mechanisms = { "SCRAM-SHA-1" } }\n')
    server.command('reload')
    assert offered() == {frozenset(['SCRAM-SHA-1'])}
    server.stop()


def test_federation(authority, placement):  # noqa: F811
    """s2s and resolver live on one of the loops: users of any other loop reach it, and are reached."""
    a, b = Peer('a.test', '127.0.3.1', authority, placement='threads'), Peer('b.test', '127.0.3.2', authority, placement='threads')
    a.know('b.test', b.ip, b.s2s_port)
    b.know('a.test', a.ip, a.s2s_port)
    try:
        clients = {}
        for peer in (a, b):
            peer.start()
            for i in range(6):
                peer.user(f'u{i}')
                clients[peer, i] = peer.client(f'u{i}')
                clients[peer, i].send('<presence/>')
                clients[peer, i].ping()
        for i in range(6):
            for here, there in ((a, b), (b, a)):
                clients[here, i].send(message(f'u{i}@{there.domain}', f'from {here.domain}'))
                got = clients[there, i].wait_for('message', WAIT)
                assert got.get('from') == clients[here, i].jid and body(got) == f'from {here.domain}'
        assert a.listing()['domains'][0]['domain'] == 'b.test'
        for peer in (a, b):
            assert set(instances(peer, 'sm')) == {'sm-1', 'sm-2', 'sm-3'}
            peer.stop()
    finally:
        a.remove()
        b.remove()
