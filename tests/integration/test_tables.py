"""The kinds of data an account has (jabberd2's tables), written by one client, read by another after a restart.

The client is slixmpp, which knows these protocols from their specifications and not from us."""
import asyncio
import base64
import hashlib
import re
import sqlite3
import xml.etree.ElementTree as ET

import pytest
import slixmpp
from slixmpp.exceptions import IqError

from conftest import ROOT


class Person(slixmpp.ClientXMPP):
    """A logged-in client; `presence` False: it stays unavailable."""

    def __init__(self, server, name, resource='here'):
        super().__init__(f'{name}@{server.domain}/{resource}', server.password)
        self.installation = server
        for plugin in ('xep_0030', 'xep_0191', 'xep_0199'):
            self.register_plugin(plugin)
        self.ca_certs = server.ca
        self.messages, self.presences = asyncio.Queue(), asyncio.Queue()
        self.started, self.gone = asyncio.Event(), asyncio.Event()
        self.auto_authorize = self.auto_subscribe = None
        self.add_event_handler('session_start', lambda event: self.started.set())
        self.add_event_handler('message', self.messages.put_nowait)
        self.add_event_handler('presence_available', self.presences.put_nowait)
        self.add_event_handler('presence_unavailable', self.presences.put_nowait)
        self.add_event_handler('disconnected', lambda event: self.gone.set())

    async def come(self, presence=True):
        self.connect(('127.0.0.1', self.installation.port))
        await asyncio.wait_for(self.started.wait(), 60)
        if presence:
            await self.get_roster()
            self.send_presence()
        return self

    async def leave(self):
        self.disconnect()
        await asyncio.wait_for(self.gone.wait(), 60)

    async def ask(self, kind, payload, to=None):
        """An iq with `payload` (text); its answer's child as an Element, or None. Raises IqError."""
        iq = self.make_iq(ito=to, itype=kind)
        iq.xml.append(ET.fromstring(payload))
        answer = (await iq.send(timeout=60)).xml
        return answer[0] if len(answer) else None


def run(work):
    """Runs a coroutine in a loop of its own, where slixmpp finds it."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        return loop.run_until_complete(asyncio.wait_for(work, 180))
    finally:
        rest = asyncio.all_tasks(loop)  # slixmpp leaves its filters running
        for task in rest:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*rest, return_exceptions=True))
        loop.close()


def restart(server):
    server.stop()
    server.start()


@pytest.fixture
def two(own_server):
    """A server with romeo and juliet."""
    server = own_server().start()
    server.user('romeo')
    server.user('juliet')
    return server


def same(element, xml):
    """Whether an Element is that XML; prefixes apart."""
    return (ET.canonicalize(ET.tostring(element, encoding='unicode'), rewrite_prefixes=True)
            == ET.canonicalize(xml, rewrite_prefixes=True))


def condition(error):
    return error.value.iq['error']['condition']


BOOKMARKS = "<query xmlns='jabber:iq:private'><storage xmlns='storage:bookmarks'>%s</storage></query>"


def test_private_xml(two):
    mark = "<conference jid='council@conference.underhill.org' name='\u00e9 &amp; &lt;x&gt;' autojoin='true'><nick>Puck</nick></conference>"

    async def write():
        romeo = await Person(two, 'romeo').come()
        await romeo.ask('set', BOOKMARKS % mark)
        await romeo.leave()

    async def read():
        romeo, juliet = await Person(two, 'romeo', 'elsewhere').come(), await Person(two, 'juliet').come()
        kept = await romeo.ask('get', BOOKMARKS % '')
        assert same(kept, BOOKMARKS % mark)
        with pytest.raises(IqError) as error:
            await juliet.ask('get', BOOKMARKS % '', to=f'romeo@{two.domain}')
        assert condition(error) == 'forbidden'
        await romeo.leave()
        await juliet.leave()

    run(write())
    restart(two)
    run(read())


def every_column():
    """A vCard that has a value for each of jabberd2's columns: (xml, {column: value})."""
    groups, values = {}, {}
    definition = (ROOT / 'src/store/vcard.def').read_text(encoding='utf-8')
    for column, element, inner in re.findall(r'^X\(\w+, "([^"]+)", "([^"]+)", (?:"([^"]+)"|NULL)\)', definition, re.M):
        values[column] = base64.b64encode(column.encode()).decode() if inner == 'BINVAL' else f'<{column}> & so on'
        content = values[column].replace('&', '&amp;').replace('<', '&lt;')
        groups.setdefault(element, []).append(f'<{inner}>{content}</{inner}>' if inner else content)
    assert len(values) == 44
    return "<vCard xmlns='vcard-temp'>" + ''.join(f'<{e}>{"".join(g)}</{e}>' for e, g in groups.items()) + '</vCard>', values


def test_vcard(two):
    xml, values = every_column()
    digest = hashlib.sha1(base64.b64decode(values['photo-binval'])).hexdigest()

    async def write():
        romeo = await Person(two, 'romeo').come()
        await romeo.ask('set', xml)
        await romeo.leave()

    async def read():
        juliet = await Person(two, 'juliet').come()
        kept = await juliet.ask('get', "<vCard xmlns='vcard-temp'/>", to=f'romeo@{two.domain}')
        assert same(kept, xml)
        found = await juliet.ask('set', "<query xmlns='jabber:iq:search'><last>&lt;N-FAM</last></query>", to=two.domain)
        assert [item.get('jid') for item in found] == [f'romeo@{two.domain}']
        romeo = await Person(two, 'romeo').come()
        while True:
            presence = await asyncio.wait_for(romeo.presences.get(), 60)
            photo = presence.xml.find('{vcard-temp:x:update}x/{vcard-temp:x:update}photo')
            if photo is not None:
                break
        assert photo.text == digest
        await romeo.leave()
        await juliet.leave()

    run(write())
    two.stop()
    rows = sqlite3.connect(two.data / 'sm/jackdaw.db')
    for column, value in values.items():
        assert rows.execute(f'SELECT "{column}" FROM vcard').fetchone() == (value,)
    rows.close()
    two.start()
    run(read())


KIDS = "<query xmlns='http://jabber.org/protocol/disco#items' node='kids'>%s</query>"


def test_published_items_and_last_activity(two):
    bare = f'romeo@{two.domain}'

    async def write():
        romeo, juliet = await Person(two, 'romeo').come(), await Person(two, 'juliet').come()
        romeo.auto_authorize = True
        await romeo.ask('set', KIDS % "<item action='update' jid='benvolio@jackdaw.test' name='Ben'/>")
        juliet.send_presence(pto=bare, ptype='subscribe')
        while (await asyncio.wait_for(juliet.presences.get(), 60))['from'].bare != bare:
            pass
        romeo.send_presence(ptype='unavailable', pstatus='off to Mantua')
        await romeo.ask('get', "<ping xmlns='urn:xmpp:ping'/>")
        await romeo.leave()
        await juliet.leave()

    async def read():
        juliet = await Person(two, 'juliet').come()
        items = await juliet.ask('get', KIDS % '', to=bare)
        assert same(items, KIDS % "<item jid='benvolio@jackdaw.test' name='Ben'/>")
        last = await juliet.ask('get', "<query xmlns='jabber:iq:last'/>", to=bare)
        assert last.text == 'off to Mantua' and int(last.get('seconds')) >= 0
        await juliet.leave()

    run(write())
    restart(two)
    run(read())


LIST = "<query xmlns='jabber:iq:privacy'><list name='quiet'>%s</list></query>"
RULES = "<item action='deny' order='5'><message/></item>"


def test_blocking_and_privacy_lists(two):
    romeos, juliets = f'romeo@{two.domain}', f'juliet@{two.domain}'

    async def refused(person, to):
        person.send_message(mto=to, mbody='?', mtype='chat')
        while True:
            answer = await asyncio.wait_for(person.messages.get(), 60)
            if answer['type'] == 'error':
                return answer['error']['condition']

    async def write():
        romeo = await Person(two, 'romeo').come()
        await romeo['xep_0191'].block({juliets, 'spam.example'})
        await romeo.ask('set', LIST % RULES)
        await romeo.leave()

    async def read():
        juliet = await Person(two, 'juliet').come()
        assert await refused(juliet, romeos) == 'service-unavailable'  # nobody there
        romeo = await Person(two, 'romeo').come()
        blocked = await romeo['xep_0191'].get_blocked()
        assert {str(jid) for jid in blocked['blocklist']['items']} == {juliets, 'spam.example'}
        assert same(await romeo.ask('get', LIST % ''), LIST % RULES)
        assert await refused(juliet, romeos) == 'service-unavailable'
        assert await refused(romeo, juliets) == 'not-acceptable'
        await romeo['xep_0191'].unblock({juliets})
        juliet.send_message(mto=romeos, mbody='at last', mtype='chat')
        assert (await asyncio.wait_for(romeo.messages.get(), 60))['body'] == 'at last'
        await romeo.leave()
        await juliet.leave()

    run(write())
    for name in two.names:  # what was acknowledged is there after the worst end
        two.processes[name].kill()
    two.start()
    run(read())


VACATION = "<query xmlns='http://jabber.org/protocol/vacation'>%s</query>"


def test_vacation(two):
    async def write():
        romeo, juliet = await Person(two, 'romeo').come(), await Person(two, 'juliet').come()
        await romeo.ask('set', VACATION % '<start>2020-01-01T00:00:00Z</start><message>Mantua</message>')
        await romeo.leave()
        juliet.send_message(mto=f'romeo@{two.domain}', mbody='?', mtype='chat')
        assert (await asyncio.wait_for(juliet.messages.get(), 60))['body'] == 'Mantua'
        await juliet.leave()

    async def read():
        romeo, juliet = await Person(two, 'romeo').come(), await Person(two, 'juliet').come()
        kept = await romeo.ask('get', VACATION % '')
        assert same(kept, VACATION % '<start>2020-01-01T00:00:00Z</start><message>Mantua</message>')
        juliet.send_message(mto=f'romeo@{two.domain}', mbody='again', mtype='chat')
        bodies = [(await asyncio.wait_for(romeo.messages.get(), 60))['body'] for _ in range(2)]
        assert bodies == ['?', 'again']
        await juliet.ask('get', "<ping xmlns='urn:xmpp:ping'/>")
        assert juliet.messages.empty()  # answered once, before the restart
        await romeo.leave()
        await juliet.leave()

    run(write())
    restart(two)
    run(read())
