"""A mobile client's life with the real server and slixmpp: carbons (XEP-0280), client state (XEP-0352), push (XEP-0357)."""
import asyncio

import pytest
import slixmpp
from conftest import DOMAIN
from slixmpp.xmlstream import ET
from raw import WAIT
from test_two_users import Person

THREADS = True
PASSWORD = 'the nightingale'
APPS, SECRET = f'push.{DOMAIN}', 'tell nobody'
PUBSUB, PUSH, FORM = '{http://jabber.org/protocol/pubsub}', '{urn:xmpp:push:0}', '{jabber:x:data}'


class Device(Person):
    """One of several of an account; its carbons go into queues, too."""

    def __init__(self, server, name, resource, register=False):
        super().__init__(server, name, PASSWORD, register)
        self.requested_jid = slixmpp.JID(f'{name}@{server.domain}/{resource}')
        for plugin in ('xep_0280', 'xep_0352'):
            self.register_plugin(plugin)
        self.carbons = asyncio.Queue()
        self.add_event_handler('carbon_received', lambda m: self.carbons.put_nowait(m['carbon_received']))
        self.add_event_handler('carbon_sent', lambda m: self.carbons.put_nowait(m['carbon_sent']))

    async def carbon(self):
        return await asyncio.wait_for(self.carbons.get(), WAIT)

    async def settled(self):
        """Everything for this device that was under way has come."""
        await self['xep_0199'].ping(self.installation.domain)


def run(story):
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        loop.run_until_complete(asyncio.wait_for(story, 10 * WAIT))
    finally:
        left = asyncio.all_tasks(loop)  # slixmpp leaves its queue readers behind
        for task in left:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        loop.close()


async def both_sides(server):
    desk = await Device(server, 'romeo', 'desk', register=True).come()
    phone = await Device(server, 'romeo', 'phone').come()
    juliet = await Device(server, 'juliet', 'balcony', register=True).come()
    info = await phone['xep_0030'].get_info(server.domain)
    assert {'urn:xmpp:carbons:2', 'urn:xmpp:carbons:rules:0'} <= set(info['disco_info']['features'])
    await phone['xep_0280'].enable()
    juliet.send_message(desk.boundjid.full, 'to the desk', mtype='chat')
    assert (await desk.message())['body'] == 'to the desk'
    copy = await phone.carbon()
    assert copy['body'] == 'to the desk' and copy['from'] == juliet.boundjid and copy['to'] == desk.boundjid
    desk.send_message(juliet.boundjid.bare, 'from the desk', mtype='chat')
    assert (await juliet.message())['body'] == 'from the desk'
    copy = await phone.carbon()
    assert copy['body'] == 'from the desk' and copy['from'] == desk.boundjid
    await phone['xep_0280'].disable()
    juliet.send_message(desk.boundjid.full, 'again', mtype='chat')
    assert (await desk.message())['body'] == 'again'
    await phone.settled()
    assert phone.carbons.empty() and phone.messages.empty()
    for device in (desk, phone, juliet):
        await device.leave()


async def asleep_in_a_pocket(server):
    phone = await Device(server, 'nurse', 'phone', register=True).come()
    friend = await Device(server, 'peter', 'x', register=True).come()
    assert phone['xep_0352'].enabled
    phone['xep_0352'].send_inactive()
    await phone.settled()
    for status in ('one', 'two', 'three'):
        friend.send_presence(pto=phone.boundjid.full, pstatus=status)
    await friend.settled()
    friend.send_message(phone.boundjid.full, 'wake up', mtype='chat')
    assert (await phone.message())['body'] == 'wake up'
    assert (await phone.presence_of(friend.boundjid.bare, 'available'))['status'] == 'three'
    assert phone.presences.empty()
    for status in ('not seen', 'four'):
        friend.send_presence(pto=phone.boundjid.full, pstatus=status)
    await friend.settled()
    phone['xep_0352'].send_active()
    assert (await phone.presence_of(friend.boundjid.bare, 'available'))['status'] == 'four'
    for device in (phone, friend):
        await device.leave()


class AppServer(slixmpp.ComponentXMPP):
    """An XMPP Push Service: a component that takes what is published to its nodes."""

    def __init__(self, server):
        super().__init__(APPS, SECRET, '127.0.0.1', server.router_port)
        self.published = asyncio.Queue()
        self.started, self.gone = asyncio.Event(), asyncio.Event()
        self.add_event_handler('session_start', lambda e: self.started.set())
        self.add_event_handler('disconnected', lambda e: self.gone.set())
        self.register_handler(slixmpp.xmlstream.handler.Callback(
            'publish', slixmpp.xmlstream.matcher.MatchXPath(f'{{jabber:component:accept}}iq/{PUBSUB}pubsub'), self.on_publish))

    def on_publish(self, iq):
        self.published.put_nowait(iq.xml)
        iq.reply(clear=True).send()

    async def come(self):
        self.connect()
        await asyncio.wait_for(self.started.wait(), WAIT)
        return self

    async def leave(self):
        self.disconnect()
        await asyncio.wait_for(self.gone.wait(), WAIT)

    async def push(self):
        """The next one: who it is for, node, secret, count of messages."""
        xml = await asyncio.wait_for(self.published.get(), WAIT)
        publish = xml.find(f'{PUBSUB}pubsub/{PUBSUB}publish')
        notification = publish.find(f'{PUBSUB}item/{PUSH}notification')
        values = {f.get('var'): f.findtext(f'{FORM}value') for f in xml.iter(f'{FORM}field')}
        assert set(notification.iter(f'{FORM}field')) and 'last-message-body' not in values
        return xml.get('from'), publish.get('node'), values.get('secret'), values['message-count']


async def enable(device, node):
    iq = device.make_iq_set()
    iq.append(ET.fromstring(f"""<enable xmlns='urn:xmpp:push:0' jid='{APPS}' node='{node}'><x xmlns='jabber:x:data' type='submit'>
        <field var='FORM_TYPE'><value>http://jabber.org/protocol/pubsub#publish-options</value></field>
        <field var='secret'><value>s-{node}</value></field></x></enable>"""))
    await iq.send(timeout=WAIT)


async def phone_enables(server):
    phone = await Device(server, 'romeo', 'phone', register=True).come()
    await enable(phone, 'one')
    await enable(phone, 'two')
    await phone.leave()


async def phone_is_told(server):
    """After a restart of everything."""
    apps = await AppServer(server).come()
    juliet = await Device(server, 'juliet', 'balcony', register=True).come()
    juliet.send_message(f'romeo@{DOMAIN}', 'wake up', mtype='chat')
    told = sorted([await apps.push(), await apps.push()])
    assert told == [(f'romeo@{DOMAIN}', 'one', 's-one', '1'), (f'romeo@{DOMAIN}', 'two', 's-two', '1')]
    phone = await Device(server, 'romeo', 'phone').come()
    assert (await phone.message())['body'] == 'wake up'
    juliet.send_message(phone.boundjid.full, 'here?', mtype='chat')
    assert (await phone.message())['body'] == 'here?'
    assert apps.published.empty()
    await phone.leave()
    # The app server is away: nobody waits for it, and nobody is told of its absence.
    await apps.leave()
    juliet.send_message(f'romeo@{DOMAIN}', 'still there?', mtype='chat')
    await juliet.settled()
    assert juliet.messages.empty()
    await juliet.leave()


def test_carbons(server):
    run(both_sides(server))


def test_client_state(server):
    run(asleep_in_a_pocket(server))


@pytest.fixture
def with_apps(own_server):
    return own_server(f'router.components={APPS}:{SECRET}').start()


def test_push_after_a_restart(with_apps):
    run(phone_enables(with_apps))
    with_apps.stop()
    with_apps.start()
    run(phone_is_told(with_apps))
