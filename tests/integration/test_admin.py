"""Administration by a client we did not write (slixmpp): accounts, over a restart. Announcements, statistics, shared groups: test_tables.py."""
import asyncio

import pytest
from slixmpp.exceptions import IqError

from raw import WAIT
from test_two_users import Person

NODE = 'http://jabber.org/protocol/admin#'


class Admin(Person):
    def __init__(self, server, name, password):
        super().__init__(server, name, password)
        for plugin in ('xep_0004', 'xep_0050', 'xep_0133'):
            self.register_plugin(plugin)

    async def run(self, node, **fields):
        """Executes a command; returns its last answer."""
        first = await self['xep_0050'].send_command(self.installation.domain, NODE + node, action='execute')
        if first['command']['status'] == 'completed':
            return first
        form = self['xep_0004'].make_form(ftype='submit')
        form.add_field(var='FORM_TYPE', ftype='hidden', value='http://jabber.org/protocol/admin')
        for var, value in fields.items():
            form.add_field(var=var.replace('_', '-') if var == 'password_verify' else var, value=value)
        return await self['xep_0050'].send_command(self.installation.domain, NODE + node, action='complete', payload=form,
                                                   sessionid=first['command']['sessionid'])

    async def value(self, node, var, **fields):
        answer = await self.run(node, **fields)
        return answer['command']['form'].get_values()[var]


def administered(own_server):
    server = own_server('server.admins=admin@jackdaw.test')
    server.start()
    server.user('admin')
    server.user('romeo')
    return server


async def add(admin, name, password):
    return await admin.run('add-user', accountjid=f'{name}@{admin.installation.domain}', password=password, password_verify=password)


def test_accounts_over_a_restart(own_server):
    server = administered(own_server)

    async def first():
        admin = await Admin(server, 'admin', server.password).come()
        assert (await admin.run('set-welcome', welcome='Be kind.'))['command']['status'] == 'completed'
        await add(admin, 'juliet', 'balcony')
        with pytest.raises(IqError) as conflict:
            await add(admin, 'juliet', 'other')
        assert conflict.value.condition == 'conflict'
        juliet = await Person(server, 'juliet', 'balcony').come()
        assert (await juliet.message())['body'] == 'Be kind.'
        assert await admin.value('get-registered-users-num', 'registeredusersnum') == '3'
        await admin.run('disable-user', accountjids=[f'juliet@{server.domain}'])
        await asyncio.wait_for(juliet.gone.wait(), WAIT)
        await admin.leave()

    asyncio.run(first())
    server.stop()
    server.start()

    async def second():
        refused = Person(server, 'juliet', 'balcony')
        failed = asyncio.Event()
        refused.add_event_handler('failed_auth', lambda e: failed.set())
        refused.connect(('127.0.0.1', server.port), force_starttls=True)
        await asyncio.wait_for(failed.wait(), WAIT)
        refused.abort()
        admin = await Admin(server, 'admin', server.password).come()
        assert await admin.value('get-disabled-users-list', 'disableduserjids', max_items='25') == [f'juliet@{server.domain}']
        await admin.run('reenable-user', accountjids=[f'juliet@{server.domain}'])
        await admin.run('change-user-password', accountjid=f'juliet@{server.domain}', password='tomb')
        juliet = await Person(server, 'juliet', 'tomb').come()
        online = await admin.value('get-online-users-list', 'onlineuserjids', max_items='none')
        assert sorted(online) == [f'admin@{server.domain}', f'juliet@{server.domain}']
        await admin.run('delete-user', accountjids=[f'juliet@{server.domain}'])
        await asyncio.wait_for(juliet.gone.wait(), WAIT)
        await admin.leave()
        romeo = await Admin(server, 'romeo', server.password).come()
        with pytest.raises(IqError) as forbidden:
            await add(romeo, 'mine', 'mine')
        assert forbidden.value.condition == 'forbidden'
        await romeo.leave()

    asyncio.run(second())
    assert f'juliet@{server.domain}' not in server.command('user', 'list').stdout


def test_accounts_from_the_shell(own_server):
    """`jackdaw user add` and `del` beside the running server do what registration does."""
    server = own_server('server.admins=admin@jackdaw.test', 'register.watchers=admin@jackdaw.test',
                        'sm.shared_groups=Everybody=@jackdaw.test', 'sm.template_roster=help@jackdaw.test=Help')
    server.start()
    server.user('admin')

    async def go():
        admin = await Admin(server, 'admin', server.password).come()
        pushes = asyncio.Queue()
        admin.add_event_handler('roster_update', lambda iq: pushes.put_nowait(iq) if iq['type'] == 'set' else None)

        async def pushed(subscription):
            while True:
                items = (await asyncio.wait_for(pushes.get(), WAIT))['roster']['items']
                if items.get('juliet@jackdaw.test', {}).get('subscription') == subscription:
                    return

        await admin.run('set-welcome', welcome='Be kind.')
        await asyncio.to_thread(server.user, 'juliet')
        while (await admin.message())['body'] != 'The account juliet@jackdaw.test was made.':
            pass  # of admin's own account
        await pushed('both')
        juliet = await Person(server, 'juliet', server.password).come()
        assert (await juliet.message())['body'] == 'Be kind.'
        assert sorted(juliet.client_roster.keys() - {'juliet@jackdaw.test'}) == ['admin@jackdaw.test', 'help@jackdaw.test']
        await admin.presence_of('juliet@jackdaw.test', 'available')
        await asyncio.to_thread(server.command, 'user', 'del', 'juliet@jackdaw.test')
        assert (await admin.message())['body'] == 'The account juliet@jackdaw.test was removed.'
        await pushed('remove')
        await asyncio.wait_for(juliet.gone.wait(), WAIT)
        await admin.leave()

    asyncio.run(go())
    listed = server.command('user', 'list').stdout
    assert 'juliet' not in listed and 'admin' in listed
    server.stop()
