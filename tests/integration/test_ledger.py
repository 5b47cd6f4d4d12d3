"""The ledger: `jackdaw trace` tells where a message has been, live, afterwards and over the death of processes; and `jackdaw
status` shows an account of messages that balances."""
import json
import signal
import subprocess
import time

from conftest import JACKDAW
from raw import WAIT

THREADS = True


def steps(server, *arguments):
    done = server.command('trace', *arguments, '--json')
    return [json.loads(line) for line in done.stdout.splitlines()]


def last(server, jid, count=1):
    return steps(server, jid, '--last', str(count))


def wait_for(server, jid, event):
    """The way of the last message of an address, once it has come that far."""
    end = time.monotonic() + WAIT
    while True:
        done = server.command('trace', jid, '--last', '1', '--json', check=False)
        way = [json.loads(line) for line in done.stdout.splitlines()]
        if any(step['event'] == event for step in way) or time.monotonic() > end:
            return way
        time.sleep(0.1)


def events(way):
    return [step['event'] for step in way]


def chat(client, to, body, number):
    client.send(f"<message to='{to}' type='chat' id='{number}'><body>{body}</body></message>")


def balance(server):
    """The sum of all session managers; an answer after the traffic says that it has come to rest."""
    total = {}
    for name, component in server.status()['components'].items():
        for key, value in component.get('balance', {}).items():
            if isinstance(value, int):
                total[key] = total.get(key, 0) + value
    return total


def balances(total):
    return total['accepted'] == sum(total[k] for k in ('delivered', 'stored', 'sent_on', 'bounced', 'dropped', 'in_flight'))


def test_way_of_a_message(server):
    """From one client to another: every component in its order; then to somebody who is away, who gets it later."""
    for name in ('walter', 'wilma'):
        server.user(name)
    walter, wilma = server.client('walter'), server.client('wilma')
    for client in (walter, wilma):
        client.send('<presence/>')
        client.wait_for('presence')
    chat(walter, f'wilma@{server.domain}/test', 'meet me at the pond', 'first')
    wilma.wait_for('message')
    way = wait_for(server, f'wilma@{server.domain}', 'written')
    happened = events(way)
    assert happened[0] == 'entered' and happened[-1] == 'written', way
    assert [e for e in happened if e in ('entered', 'routed', 'delivered', 'written')] == ['entered', 'routed', 'delivered',
                                                                                          'written'], way
    assert happened.count('archived') == 2
    assert way[0]['from'] == f'walter@{server.domain}/test' and way[0]['to'] == f'wilma@{server.domain}/test'
    assert 'id first' in way[0]['detail']
    assert len({step['id'] for step in way}) == 1
    assert 'pond' not in json.dumps(way)
    times = [step['time'] for step in way]
    assert times == sorted(times)
    text = server.command('trace', '--id', way[0]['id']).stdout
    assert text.startswith(way[0]['id']) and f'delivered to wilma@{server.domain}/test' in text, text

    wilma.end()
    chat(walter, f'wilma@{server.domain}', 'where are you', 'second')
    stored = wait_for(server, f'wilma@{server.domain}', 'stored')
    assert 'stored' in events(stored), stored
    wilma = server.client('wilma')
    wilma.send('<presence/>')
    wilma.wait_for('message')
    way = wait_for(server, f'wilma@{server.domain}', 'written')
    assert {step['id'] for step in way} == {stored[0]['id']}
    assert events(way)[-3:] == ['read', 'delivered', 'written'], way

    chat(walter, f'nobody@{server.domain}', 'hello', 'third')
    assert walter.wait_for('message', type='error') is not None
    way = wait_for(server, f'nobody@{server.domain}', 'written')
    bounced = [step for step in way if step['event'] == 'bounced']
    assert [step['detail'] for step in bounced] == ['service-unavailable'], way
    assert balances(balance(server)), balance(server)
    for client in (walter, wilma):
        client.end()


def test_live(server):
    """What passes is shown as it passes, of that address alone; bodies only for who asks."""
    for name in ('lisa', 'lara', 'lucy'):
        server.user(name)
    clients = {name: server.client(name) for name in ('lisa', 'lara', 'lucy')}
    for client in clients.values():
        client.send('<presence/>')
        client.wait_for('presence')
    for bodies in ([], ['--bodies']):
        follow = subprocess.Popen(
            [JACKDAW, 'trace', f'lara@{server.domain}', '--json', '--count', '4', *bodies, *server.options()],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert 'following' in follow.stderr.readline()
        chat(clients['lisa'], f'lucy@{server.domain}', 'nothing of this', 'x')
        chat(clients['lisa'], f'lara@{server.domain}', 'meet me at the pond', 'y')
        clients['lara'].wait_for('message')
        way = [json.loads(line) for line in follow.communicate(timeout=WAIT)[0].splitlines()]
        assert follow.returncode == 0
        assert len(way) == 4 and len({step['id'] for step in way}) == 1, way
        assert way[0]['event'] == 'entered' and 'id y' in way[0]['detail']
        said = [step['detail'] for step in way if step['event'] == 'body']
        assert said == (['meet me at the pond'] if bodies else []), way
    ended = server.command('trace', f'lara@{server.domain}', '--seconds', '1')
    assert ended.stdout == ''
    follow = subprocess.Popen([JACKDAW, 'trace', f'lara@{server.domain}', *server.options()], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True)
    follow.stderr.readline()
    follow.send_signal(signal.SIGINT)
    assert follow.wait(WAIT) == 0
    for client in clients.values():
        client.end()


def test_over_the_death_of_all(own_server):
    """What is stored is followed over kill -9 of everything; the ledger tells while nothing runs."""
    server = own_server('ledger.size=65536')
    server.start()
    for name in ('kurt', 'kira'):
        server.user(name)
    kurt = server.client('kurt')
    kurt.send('<presence/>')
    kurt.wait_for('presence')
    chat(kurt, f'kira@{server.domain}', 'for later', 'k1')
    before = wait_for(server, f'kira@{server.domain}', 'stored')
    assert 'stored' in events(before), before
    for process in server.processes.values():
        process.kill()
    assert [step['event'] for step in steps(server, '--id', before[0]['id'])] == events(before)
    server.start()
    kira = server.client('kira')
    kira.send('<presence/>')
    message = kira.wait_for('message')
    stanza_id = message.find('{urn:xmpp:sid:0}stanza-id').get('id')
    assert stanza_id in [step['detail'] for step in before if step['event'] == 'archived'], before
    assert steps(server, '--id', stanza_id)[0]['id'] == before[0]['id']
    way = wait_for(server, f'kira@{server.domain}', 'written')
    assert way[0]['id'] == before[0]['id'] and events(way)[:len(before)] == events(before), way
    assert events(way)[len(before):] == ['read', 'delivered', 'written'], way

    for number in range(300):  # some 1,500 steps, where there is room for 240
        chat(kira, f'kurt@{server.domain}', 'once more', f'n{number}')
    assert 'stored' in events(wait_for(server, f'kurt@{server.domain}', 'stored'))
    kira.ping()
    sizes = {path.stat().st_size for path in (server.data / 'ledger').iterdir()}
    assert sizes and max(sizes) <= 65536 + 4096, sizes
    gone = server.command('trace', '--id', before[0]['id'], check=False)
    assert gone.returncode == 1 and 'nothing is known' in gone.stderr
    assert balances(balance(server)), balance(server)
    text = server.command('status').stdout
    assert 'accepted' in text and 'in flight' in text and 'WRONG' not in text
    kira.end()
    server.stop()


def test_without(own_server):
    """ledger.size=0: nothing is written, and everything else goes on."""
    server = own_server('ledger.size=0')
    server.start()
    server.user('otto')
    otto = server.client('otto')
    otto.send('<presence/>')
    otto.wait_for('presence')
    chat(otto, f'otto@{server.domain}', 'to myself', 'o1')
    assert otto.wait_for('message') is not None
    assert not (server.data / 'ledger').exists()
    done = server.command('trace', f'otto@{server.domain}', '--last', '1', check=False)
    assert done.returncode == 1 and 'no ledger' in done.stderr
    assert balances(balance(server)) and balance(server)['accepted'] >= 2
    otto.end()
    server.stop()


def test_usage(server):
    for arguments in ([], ['nobody@'], ['--id', 'x'], ['a@b.test', '--last', '0'],
                      ['a@b.test', '--id', '0000000000001'], ['a@b.test', '--count', 'many']):
        done = server.command('trace', *arguments, check=False)
        assert done.returncode == 2, (arguments, done)
        assert done.stderr.startswith('jackdaw: '), done.stderr
