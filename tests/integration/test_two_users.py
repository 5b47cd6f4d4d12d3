"""Two people, two ordinary clients (slixmpp): from registration to what was missed while away."""
import asyncio

import pytest
import slixmpp

from raw import WAIT

THREADS = True


class Person(slixmpp.ClientXMPP):
    """A client as a person uses it; what comes in goes into queues."""

    def __init__(self, server, name, password, register=False, verify=True):
        super().__init__(f'{name}@{server.domain}', password)
        self.installation = server
        self.want_registration = register
        self.register_plugin('xep_0030')
        self.register_plugin('xep_0077')
        self.register_plugin('xep_0199')
        self.register_plugin('xep_0203')
        self.plugin['xep_0077'].force_registration = register
        if not register:
            self.plugin['xep_0077'].create_account = False
        if verify:
            self.ca_certs = server.ca
        self.messages, self.presences, self.requests = asyncio.Queue(), asyncio.Queue(), asyncio.Queue()
        self.started, self.gone = asyncio.Event(), asyncio.Event()
        self.registered = asyncio.Event()
        # slixmpp 1.8.3 holds back every iq before the session, its own registration form among them.
        self._always_send_everything = register
        self.auto_authorize = None
        self.auto_subscribe = False
        self.add_event_handler('session_start', self.on_start)
        self.add_event_handler('register', self.on_register)
        self.add_event_handler('message', self.messages.put_nowait)
        self.add_event_handler('presence_available', self.presences.put_nowait)
        self.add_event_handler('presence_unavailable', self.presences.put_nowait)
        self.add_event_handler('presence_subscribe', self.requests.put_nowait)
        self.add_event_handler('disconnected', lambda e: self.gone.set())

    async def on_register(self, form):
        iq = self.Iq()
        iq['type'] = 'set'
        iq['register']['username'] = self.boundjid.user
        iq['register']['password'] = self.password
        await iq.send()
        self.registered.set()

    async def on_start(self, event):
        await self.get_roster()
        self.send_presence()
        self.started.set()

    async def come(self, direct_tls=False):
        self.connect(('127.0.0.1', self.installation.tls_port if direct_tls else self.installation.port), use_ssl=direct_tls,
                     force_starttls=not direct_tls)
        await asyncio.wait_for(self.started.wait(), WAIT)
        await self.get_roster()  # when that is answered, the server knows of the presence before it
        return self

    async def leave(self):
        self.disconnect()
        await asyncio.wait_for(self.gone.wait(), WAIT)

    async def message(self):
        return await asyncio.wait_for(self.messages.get(), WAIT)

    async def presence_of(self, jid, type_):
        while True:
            presence = await asyncio.wait_for(self.presences.get(), WAIT)
            if presence['from'].bare == jid and presence['type'] == type_:
                return presence


async def befriend(alice, bob):
    alice.send_presence_subscription(bob.boundjid.bare, ptype='subscribe')
    request = await asyncio.wait_for(bob.requests.get(), WAIT)
    assert request['from'].bare == alice.boundjid.bare
    bob.send_presence_subscription(alice.boundjid.bare, ptype='subscribed')
    await alice.presence_of(bob.boundjid.bare, 'available')
    bob.send_presence_subscription(alice.boundjid.bare, ptype='subscribe')
    await asyncio.wait_for(alice.requests.get(), WAIT)
    alice.send_presence_subscription(bob.boundjid.bare, ptype='subscribed')
    await bob.presence_of(alice.boundjid.bare, 'available')


async def story(server, names, direct_tls):
    a, b = names
    alice = await Person(server, a, 'wonder land', register=True).come(direct_tls)
    bob = await Person(server, b, 'the builder', register=True).come(direct_tls)
    assert alice.registered.is_set() and bob.registered.is_set()

    await befriend(alice, bob)
    await bob.get_roster()
    assert bob.client_roster[alice.boundjid.bare]['subscription'] == 'both'

    alice.send_message(bob.boundjid.bare, 'Hello Bob, <tags> & "quotes" \u00e4\u4f60\U0001f600', mtype='chat')
    got = await bob.message()
    assert got['from'] == alice.boundjid
    assert got['body'] == 'Hello Bob, <tags> & "quotes" \u00e4\u4f60\U0001f600'
    got.reply('Hello Alice').send()
    assert (await alice.message())['body'] == 'Hello Alice'

    await bob.leave()
    await alice.presence_of(bob.boundjid.bare, 'unavailable')
    for i in range(5):
        alice.send_message(bob.boundjid.bare, f'missed {i}', mtype='chat')
    await alice['xep_0199'].ping(server.domain)

    again = await Person(server, b, 'the builder').come(direct_tls)
    for i in range(5):
        got = await again.message()
        assert got['body'] == f'missed {i}'
        assert got['delay']['stamp'] is not None
    await alice.presence_of(bob.boundjid.bare, 'available')
    alice.send_message(again.boundjid.bare, 'back?', mtype='chat')
    got = await again.message()
    assert got['body'] == 'back?' and not got.xml.findall('{urn:xmpp:delay}delay')

    info = await again['xep_0030'].get_info(server.domain)
    assert ('server', 'im') in {(i[0], i[1]) for i in info['disco_info']['identities']}
    await again.leave()
    await alice.leave()


@pytest.mark.parametrize('direct_tls', [False, True], ids=['starttls', 'direct-tls'])
def test_from_registration_to_offline_delivery(server, direct_tls):
    names = ('alice-d', 'bob-d') if direct_tls else ('alice', 'bob')
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        loop.run_until_complete(asyncio.wait_for(story(server, names, direct_tls), 10 * WAIT))
    finally:
        left = asyncio.all_tasks(loop)  # slixmpp leaves its queue readers behind
        for task in left:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        loop.close()
