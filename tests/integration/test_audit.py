"""The audit log: one true record a message, whatever was written into it; rotation, a file moved away, a disk that is full."""
import asyncio
import json
import time

from raw import WAIT
from test_two_users import Person

THREADS = True
FORGED = 'hello\n{"time":"2026-01-01T00:00:00.000Z","from":"juliet@jackdaw.test","to":"romeo@jackdaw.test","body":"forged"}\r\u2028\u0085"'


def records(path):
    """All of a file, which is whole lines of JSON, by any reader's idea of a line."""
    text = path.read_text()
    assert text == '' or text.endswith('\n')
    return [json.loads(line) for line in text.splitlines()]


def until(what):
    """What is true in the end: records are written behind the messages."""
    end = time.monotonic() + WAIT
    while not what():
        assert time.monotonic() < end, 'it did not come true'
        time.sleep(0.05)


def met(own_server, *settings):
    server = own_server('audit.file=', *settings)
    server.settings.remove('audit.file=')
    server.path = server.data / 'audit' / 'log'
    server.path.parent.mkdir()
    return server


def with_log(server, *more):
    server.settings += [f'audit.file={server.path}', *more]
    server.start()
    for name in ('romeo', 'juliet'):
        server.user(name)
    return server


async def talk(server, bodies):
    romeo = await Person(server, 'romeo', server.password).come()
    juliet = await Person(server, 'juliet', server.password).come()
    for body in bodies:
        romeo.send_message(mto=juliet.boundjid.bare, mbody=body, mtype='chat')
        assert (await juliet.message())['body'] is not None
    await romeo.leave()
    await juliet.leave()


def test_records_are_true_and_whole(own_server):
    server = with_log(met(own_server), 'audit.bodies=true')

    async def go():
        romeo = await Person(server, 'romeo', server.password).come()
        juliet = await Person(server, 'juliet', server.password).come()
        romeo.send_message(mto=juliet.boundjid.bare, mbody=FORGED, mtype='chat')
        await juliet.message()
        juliet.send_message(mto=romeo.boundjid.full, mbody='and back')
        await romeo.message()
        names = romeo.boundjid.full, juliet.boundjid.full
        await romeo.leave()
        await juliet.leave()
        return names

    romeo, juliet = asyncio.run(go())
    until(lambda: server.path.exists() and len(records(server.path)) == 2)
    first, second = records(server.path)
    assert first['from'] == romeo and first['to'] == 'juliet@jackdaw.test' and first['type'] == 'chat'
    # XML turns a carriage return into a line feed; nothing else is changed
    assert first['body'].replace('\r', '\n') == FORGED.replace('\r', '\n')
    assert second['from'] == juliet and second['to'] == romeo and second['body'] == 'and back'
    assert second['time'] >= first['time'] > '2026'
    # what is written survives a restart, and more comes behind it
    server.stop()
    server.start()
    asyncio.run(talk(server, ['once more']))
    server.stop()
    assert [r.get('body') for r in records(server.path)][2:] == ['once more']


def test_off_without_bodies_and_rotated(own_server):
    server = met(own_server)
    server.start()
    for name in ('romeo', 'juliet'):
        server.user(name)
    asyncio.run(talk(server, ['nobody writes this down']))
    assert not server.path.exists()
    server.stop()
    server.settings += [f'audit.file={server.path}', 'audit.max_size=4096', 'audit.keep=2']
    server.start()
    asyncio.run(talk(server, [str(i) for i in range(100)]))
    server.stop()
    files = sorted(p.name for p in server.path.parent.iterdir())
    assert files == ['log', 'log.1', 'log.2']
    for name in files:
        assert (server.path.parent / name).stat().st_size <= 4096
        assert all('body' not in r and r['from'].startswith('romeo@') for r in records(server.path.parent / name))


def test_moved_away_and_full(own_server):
    server = with_log(met(own_server), 'audit.bodies=true')
    asyncio.run(talk(server, ['one']))
    until(lambda: server.path.exists() and len(records(server.path)) == 1)
    server.path.rename(server.path.parent / 'old')
    server.command('reload')
    asyncio.run(talk(server, ['two']))
    until(lambda: server.path.exists() and len(records(server.path)) == 1)
    assert [r['body'] for r in records(server.path.parent / 'old')] == ['one']
    server.stop()
    # a full disk is told once, and chat goes on
    server.settings[server.settings.index(f'audit.file={server.path}')] = 'audit.file=/dev/full'
    server.start()
    asyncio.run(talk(server, ['three', 'four', 'five']))
    sm = server.of('sm')
    until(lambda: 'cannot write to the audit log' in '\n'.join(sm.log))
    time.sleep(2.5)  # it tries again meanwhile, and says nothing more
    told = [line for line in sm.log if 'cannot write to the audit log' in line]
    assert 'No space left' in told[0] and len(told) == len({line.split()[2] for line in told})  # once an sm
    asyncio.run(talk(server, ['six']))
    server.stop()
