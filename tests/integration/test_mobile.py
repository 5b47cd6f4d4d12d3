"""A mobile client's life with the real server and slixmpp: carbons (XEP-0280), client state (XEP-0352)."""
import asyncio

import slixmpp
from test_two_users import Person

THREADS = True
PASSWORD = 'the nightingale'


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
        return await asyncio.wait_for(self.carbons.get(), 15)

    async def settled(self):
        """Everything for this device that was under way has come."""
        await self['xep_0199'].ping(self.installation.domain)


def run(story):
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        loop.run_until_complete(asyncio.wait_for(story, 90))
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


def test_carbons(server):
    run(both_sides(server))


def test_client_state(server):
    run(asleep_in_a_pocket(server))
