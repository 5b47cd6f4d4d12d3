"""Restart, shutdown and the server's black list by ad-hoc commands (XEP-0133), over the restart that was ordered."""
import asyncio

import pytest

from raw import WAIT
from test_admin import Admin, administered
from test_two_users import Person

THREADS = True
RESTART = 75  # EX_TEMPFAIL: systemd's Restart=on-failure


def codes(server):
    """Of the processes that end by an administrator's order; a router that is a process of its own serves other machines, too."""
    ended = {name: p.popen.wait(WAIT) for name, p in server.processes.items() if name != 'router'}
    for name in ended:
        del server.processes[name]
    return set(ended.values())


def order(server, node, text):
    async def go():
        admin = await Admin(server, 'admin', server.password).come()
        romeo = await Person(server, 'romeo', server.password).come()
        answer = await admin.run(node, delay='0', announcement=text)
        assert answer['command']['status'] == 'completed'
        assert (await romeo.message())['body'] == text
        for person in (romeo, admin):
            await asyncio.wait_for(person.gone.wait(), WAIT)

    asyncio.run(go())
    return codes(server)


def start_again(server):
    for name in server.names:
        if name not in server.processes:
            server.start_one(name)


def test_restart_then_shutdown(own_server):
    server = administered(own_server)

    async def lists():
        admin = await Admin(server, 'admin', server.password).come()
        await admin.run('edit-blacklist', blacklistjids=['spam.example', 'mallory@example.org'])
        await admin.run('edit-whitelist', whitelistjids=['example.org'])
        await admin.leave()

    async def look():
        admin = await Admin(server, 'admin', server.password).come()
        first = await admin['xep_0050'].send_command(server.domain, 'http://jabber.org/protocol/admin#edit-blacklist', action='execute')
        assert first['command']['form'].get_values()['blacklistjids'] == ['mallory@example.org', 'spam.example']
        for to in ('mallory@example.org', 'somebody@spam.example', 'somebody@else.example'):
            message = asyncio.get_running_loop().create_future()
            admin.add_event_handler('message_error', message.set_result, disposable=True)
            admin.send_message(mto=to, mbody='hello')
            assert (await asyncio.wait_for(message, WAIT))['error']['condition'] == 'not-allowed'
        await admin.leave()

    asyncio.run(lists())
    assert order(server, 'restart', 'Back in a moment') == {RESTART}
    start_again(server)
    asyncio.run(look())
    assert order(server, 'shutdown', 'Good night') == {0}


@pytest.mark.parametrize('node,code', [('restart', RESTART), ('shutdown', 0)])
def test_supervised(own_server, node, code):
    """server.placement=processes: the supervisor ends all of them in their order, and itself."""
    server = own_server('server.placement=processes')
    server.placement = 'inline'  # one process of ours, whatever it starts
    server.settings = [s for s in server.settings if s not in ('server.placement=threads', 'server.threads=3')]
    server.settings += ['server.admins=admin@jackdaw.test']
    server.start()
    for name in ('admin', 'romeo'):
        server.user(name)
    assert order(server, node, 'Now') == {code}
    start_again(server)
    server.client('romeo').ping()
    server.stop()
