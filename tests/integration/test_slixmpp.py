"""What slixmpp knows of a mobile client's life beside what test_mobile.py and test_mam.py ask of it: streams cut again and again
(XEP-0198), long archives in both directions (XEP-0313), hints (XEP-0334), ids (XEP-0359), preferences (XEP-0441)."""
import asyncio
from datetime import datetime, timedelta, timezone

from cut import Cuttable
from slixmpp import JID
from slixmpp.xmlstream import ET
from test_tables import Person, run

COUNT = 450


class Reader(Person):
    def __init__(self, server, name, resource='here', port=None, plugins=()):
        super().__init__(server, name, resource)
        self.port = port or server.port
        for plugin in ('xep_0059', 'xep_0203', 'xep_0313', 'xep_0334', 'xep_0359', 'xep_0441', *plugins):
            self.register_plugin(plugin)

    def dial(self):
        self.connect(('127.0.0.1', self.port))

    def say(self, to, text):
        self.send_message(f'{to}@{self.installation.domain}', text, mtype='chat')

    async def hear(self, texts):
        assert [(await asyncio.wait_for(self.messages.get(), 90))['body'] for _ in texts] == texts

    async def bodies(self, **query):
        return [m['mam_result']['forwarded']['stanza']['body'] async for m in self['xep_0313'].iterate(**query)]


def restart(server):
    server.stop()
    server.start()


def test_cut_again_and_again(verona):
    """What is on its way to the client when the connection breaks comes once, in order, by the resumed stream. (What is on its way from
    it slixmpp forgets when it resumes: its queue is cleared by its own <resume/>. nbxmpp and profanity keep it.)"""
    network = Cuttable(verona.port)

    async def story():
        romeo = Reader(verona, 'romeo', port=network.port, plugins=['xep_0198'])
        juliet = Reader(verona, 'juliet', plugins=['xep_0198'])
        resumed, enabled = asyncio.Queue(), asyncio.Event()
        romeo.add_event_handler('session_resumed', resumed.put_nowait)
        romeo.add_event_handler('sm_enabled', lambda e: enabled.set())
        romeo.dial()
        await asyncio.wait_for(romeo.started.wait(), 90)
        await romeo.get_roster()
        romeo.send_presence()
        await juliet.come()
        await asyncio.wait_for(enabled.wait(), 90)
        to_romeo = []
        for n in range(4):
            for i in range(10):
                to_romeo.append(f'{n}.{i} to romeo')
                juliet.say('romeo', to_romeo[-1])
            romeo.gone.clear()
            network.cut()
            await asyncio.wait_for(romeo.gone.wait(), 90)
            to_romeo.append(f'{n} while it is cut')
            juliet.say('romeo', to_romeo[-1])
            romeo.dial()
            await asyncio.wait_for(resumed.get(), 90)
            romeo.say('juliet', f'{n} to juliet')
            await juliet.hear([f'{n} to juliet'])
        await romeo.hear(to_romeo)
        for person in (romeo, juliet):
            await person['xep_0199'].ping(verona.domain, timeout=90)
            assert person.messages.empty()
            await person.leave()

    try:
        run(story())
    finally:
        network.close()


def test_long_archive(verona):
    texts = [f'line {i}' for i in range(COUNT)]
    own = JID(f'juliet@{verona.domain}')

    async def write():
        romeo, juliet = await Reader(verona, 'romeo').come(), await Reader(verona, 'juliet').come()
        for text in texts:
            romeo.say('juliet', text)
        await juliet.hear(texts)
        for person in (romeo, juliet):
            await person.leave()

    async def read():
        juliet = await Reader(verona, 'juliet', 'crypt').come(presence=False)
        assert await juliet.bodies(rsm={'max': 100}) == texts
        assert await juliet.bodies(rsm={'max': 70}, reverse=True) == texts[::-1]
        assert await juliet.bodies(jid=own, rsm={'max': 100}, total=130) == texts[:130]
        assert await juliet.bodies(with_jid=JID(f'nurse@{verona.domain}')) == []
        now = datetime.now(timezone.utc)
        assert await juliet.bodies(start=now - timedelta(days=1), end=now + timedelta(days=1), rsm={'max': 200}) == texts
        assert await juliet.bodies(start=now + timedelta(days=1)) == []
        # what it has seen there does not come by the queue; it is not in the queue anyway
        juliet.send_presence()
        await juliet['xep_0199'].ping(verona.domain, timeout=90)
        assert juliet.messages.empty()
        await juliet.leave()

    run(write())
    restart(verona)
    run(read())


def marked(person, to, text, *hints):
    message = person.make_message(mto=f'{to}@{person.installation.domain}', mbody=text, mtype='chat')
    for hint in hints:
        message.enable(hint)
    return message


def test_hints_and_ids(verona):
    async def write():
        romeo = await Reader(verona, 'romeo').come()
        marked(romeo, 'juliet', 'not kept', 'no-store').send()
        marked(romeo, 'juliet', 'for the queue', 'no-permanent-store').send()
        unseen = marked(romeo, 'juliet', None, 'store')
        unseen['id'] = 'kept'
        unseen.send()
        known = marked(romeo, 'juliet', 'known')
        known['origin_id']['id'] = 'mine'
        known['stanza_id']['id'], known['stanza_id']['by'] = 'forged', f'juliet@{verona.domain}'
        known.xml.append(ET.fromstring("<stanza-id xmlns='urn:xmpp:sid:0' id='theirs' by='room@rooms.example.com'/>"))
        known.send()
        await romeo['xep_0199'].ping(verona.domain, timeout=90)
        await romeo.leave()

    async def read():
        juliet = await Reader(verona, 'juliet').come()
        await juliet.hear(['for the queue'])
        live = await asyncio.wait_for(juliet.messages.get(), 90)
        assert live['body'] == 'known' and live['origin_id']['id'] == 'mine'
        ids = {e.get('by'): e.get('id') for e in live.xml.findall('{urn:xmpp:sid:0}stanza-id')}
        assert set(ids) == {'room@rooms.example.com', f'juliet@{verona.domain}'} and 'forged' not in ids.values()
        archive = [m['mam_result'] async for m in juliet['xep_0313'].iterate()]
        assert [r['forwarded']['stanza']['id'] for r in archive] == ['kept', live['id']]
        assert archive[1]['id'] == ids[f'juliet@{verona.domain}']
        assert archive[1]['forwarded']['stanza']['origin_id']['id'] == 'mine'
        await juliet.leave()

    run(write())
    restart(verona)
    run(read())


def test_preferences(verona):
    always, never = {JID(f'nurse@{verona.domain}')}, {JID('tybalt@example.net'), JID('paris@example.net/x')}

    async def write():
        romeo = await Reader(verona, 'romeo').come()
        assert await romeo['xep_0441'].get_preferences(timeout=90) == ('always', set(), set())
        await romeo['xep_0441'].set_preferences('roster', always, never, timeout=90)
        await romeo.leave()

    async def read():
        romeo = await Reader(verona, 'romeo').come()
        default, *lists = await romeo['xep_0441'].get_preferences(timeout=90)
        assert (default, *map(set, lists)) == ('roster', always, never)
        await romeo.leave()

    run(write())
    restart(verona)
    run(read())
