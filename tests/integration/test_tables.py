"""The kinds of data an account has (issue 4: jabberd2's tables), written by one client, read by another after a restart.

The client is slixmpp, which knows these protocols from their specifications and not from us. Every row below is one story with a
`yield` in it: there the server is restarted (in one placement by kill -9), for all rows at once. Each row has accounts of
its own; those whose matter is a whole domain's have that to themselves, too.
"""
import asyncio
import base64
import hashlib
import json
import re
import sqlite3
import time
import xml.etree.ElementTree as ET

import pytest
import slixmpp
from slixmpp.exceptions import IqError

from conftest import DOMAIN, PASSWORD, ROOT, Server, postgres
from raw import WAIT

DATABASES = ['sqlite', 'postgres']


class Person(slixmpp.ClientXMPP):
    """A logged-in client; `presence` False: it stays unavailable."""

    def __init__(self, server, name, resource='here', password=None, guest=False):
        jid = name if guest or '@' in name else f'{name}@{server.domain}'
        super().__init__(f'{jid}/{resource}', password or server.password, sasl_mech='ANONYMOUS' if guest else None)
        self.installation = server
        for plugin in ('xep_0004', 'xep_0012', 'xep_0030', 'xep_0048', 'xep_0050', 'xep_0077', 'xep_0191', 'xep_0199'):
            self.register_plugin(plugin)
        self.plugin['xep_0077'].create_account = False
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
        await asyncio.wait_for(self.started.wait(), WAIT)
        if presence:
            await self.get_roster()
            self.send_presence()
        return self

    async def leave(self):
        self.disconnect()
        await asyncio.wait_for(self.gone.wait(), WAIT)

    async def ask(self, kind, payload, to=None):
        """An iq with `payload` (text); its answer's child as an Element, or None. Raises IqError."""
        iq = self.make_iq(ito=to, itype=kind)
        iq.xml.append(ET.fromstring(payload))
        answer = (await iq.send(timeout=60)).xml
        return answer[0] if len(answer) else None

    async def message(self):
        return await asyncio.wait_for(self.messages.get(), WAIT)

    async def presence_of(self, jid, type_='available'):
        while True:
            presence = await asyncio.wait_for(self.presences.get(), WAIT)
            if presence['from'].bare == jid and presence['type'] == type_:
                return presence

    async def settled(self):
        """What was on its way to this client is here."""
        await self.ask('get', "<ping xmlns='urn:xmpp:ping'/>")

    async def command(self, node, to=None, **fields):
        """An ad-hoc command (XEP-0133) of the domain; the values of its last form."""
        to, node = to or self.boundjid.domain, 'http://jabber.org/protocol/admin#' + node
        answer = await self['xep_0050'].send_command(to, node, action='execute')
        if answer['command']['status'] != 'completed':
            form = self['xep_0004'].make_form(ftype='submit')
            for var, value in fields.items():
                form.add_field(var=var, value=value)
            answer = await self['xep_0050'].send_command(to, node, action='complete', payload=form,
                                                         sessionid=answer['command']['sessionid'])
        assert answer['command']['status'] == 'completed'
        return answer['command']['form'].get_values()


def run(work):
    """Runs a coroutine in a loop of its own, where slixmpp finds it."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        return loop.run_until_complete(asyncio.wait_for(work, 10 * WAIT))
    finally:
        rest = asyncio.all_tasks(loop)  # slixmpp leaves its filters running
        for task in rest:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*rest, return_exceptions=True))
        loop.close()


def same(element, xml):
    """Whether an Element is that XML; prefixes apart."""
    return (ET.canonicalize(ET.tostring(element, encoding='unicode'), rewrite_prefixes=True)
            == ET.canonicalize(xml, rewrite_prefixes=True))


def condition(error):
    return error.value.iq['error']['condition']


def bodies(person):
    """Of the messages that have come and nobody has looked at."""
    return [person.messages.get_nowait()['body'] for _ in range(person.messages.qsize())]


async def eventually(what):
    """What `what` gives, once it is something."""
    until = time.monotonic() + WAIT
    while not (value := what()):
        assert time.monotonic() < until, 'it does not come about'
        await asyncio.sleep(0.1)
    return value


# ---- the world ----

STAFF, QUIET, GUESTS = 'staff.test', 'quiet.test', 'guests.test'
ROWS = {}


def row(*people):
    """Names a story; its accounts are PERSON-STORY at the main domain, or as they stand here with an @."""
    def enter(story):
        name = story.__name__.replace('_', '-')
        ROWS[name] = story, [p if '@' in p else f'{p}-{name}@{DOMAIN}' for p in people]
        return story
    return enter


class World(Server):
    """Four domains: one for the users, two for what concerns everybody in it, one for guests."""

    def __init__(self, placement):
        super().__init__(placement, [
            f'server.admins=admin@{STAFF},herald@{STAFF}={STAFF}', 'sm.web_presence=true', f'sm.template_roster=help@{DOMAIN}=Help',
            f'auth.anonymous={GUESTS}', *self.groups('juliet')])
        self.database = placement.database
        self.halves = {}

    @staticmethod
    def groups(*members):
        return [f'sm.shared_groups=Staff={" ".join(f"{m}-shared-groups@{DOMAIN}" for m in ("romeo", *members))}']

    def options(self, more=()):
        return super().options(more) + [o for d in (STAFF, QUIET, GUESTS) for o in ('--domain', d)]

    def sql(self, text):
        """Rows of the sm's database, each a tuple of texts."""
        if self.database == 'postgres':
            url = next(s for s in self.settings if s.startswith('store.url=')).split('=', 1)[1]
            lines = postgres().sql(f'SET search_path TO jackdaw_users; {text}', url).splitlines()
            return [tuple(line.split('|')) for line in lines]
        db = sqlite3.connect(f'{self.data}/sm/jackdaw.db', timeout=60)
        found = db.execute(text).fetchall()
        db.close()
        return [tuple('' if v is None else str(v) for v in r) for r in found]

    def make_accounts(self):
        people = sorted({p for _, people in ROWS.values() for p in people})
        (self.data / 'people.csv').write_text(''.join(f'{p},{PASSWORD}\n' for p in people))
        self.command('user', 'import', str(self.data / 'people.csv'))

    def half(self, name):
        """The next half of a story, or what went wrong in the one before."""
        story, people = ROWS[name]
        if name not in self.halves:
            self.halves[name] = story(self, *people)
        if isinstance(self.halves[name], Exception):
            raise self.halves[name]

        async def go():
            async for _ in self.halves[name]:
                return True
            return False
        return run(go())

    def restart(self):
        if self.placement == 'inline':  # what was acknowledged is there after the worst end
            for name in self.names:
                self.processes[name].kill()
        else:
            self.stop()
        self.guests = self.sql(GUESTS_LEFT)
        self.settings = [s for s in self.settings if not s.startswith('sm.shared_groups=')] + self.groups('juliet', 'tybalt')
        self.start()


@pytest.fixture(scope='module')
def world(placement):
    w = World(placement)
    try:
        w.make_accounts()
        w.start()
        for name in ROWS:
            try:
                assert w.half(name), 'a story without a restart'
            except Exception as e:
                w.halves[name] = e
        w.restart()
        yield w
        w.stop()
    finally:
        w.remove()


# ---- the rows ----

GUESTS_LEFT = f'SELECT "collection-owner" FROM "active" WHERE "collection-owner" LIKE \'%@{GUESTS}\''


@row('romeo', 'juliet', 'nurse')
async def roster(w, romeo, juliet, nurse):
    """roster-items, roster-groups: names, groups, versions, subscriptions, and a request that nobody has answered yet."""
    query = "<query xmlns='jabber:iq:roster' ver='%s'/>"
    r, j = await Person(w, romeo).come(), await Person(w, juliet).come()
    await r.update_roster(juliet, name='J <3 \u00e9', groups=['b', 'a\u00fc'])
    j.auto_authorize = True
    r.send_presence(pto=juliet, ptype='subscribe')
    await r.presence_of(juliet)
    r.send_presence(pto=nurse, ptype='subscribe')
    await r.settled()
    version = (await r.ask('get', query % '')).get('ver')
    await r.leave()
    await j.leave()
    yield
    r = await Person(w, romeo).come(presence=False)
    assert await r.ask('get', query % version) is None  # nothing has changed
    await r.get_roster()
    item = r.client_roster[juliet]
    assert (item['name'], item['subscription'], sorted(item['groups'])) == ('J <3 \u00e9', 'to', ['a\u00fc', 'b'])
    assert r.client_roster[nurse]['pending_out']
    n, asked = Person(w, nurse), asyncio.Queue()
    n.add_event_handler('presence_subscribe', asked.put_nowait)
    await n.come()
    assert (await asyncio.wait_for(asked.get(), WAIT))['from'] == romeo
    j = await Person(w, juliet).come()
    r.send_presence()
    await r.presence_of(juliet)
    for person in (r, j, n):
        await person.leave()


@row('romeo', 'juliet')
async def private(w, romeo, juliet):
    """private: XML of one's own (XEP-0049), bookmarks in it (XEP-0048) as slixmpp writes and reads them."""
    secret = "<query xmlns='jabber:iq:private'><x xmlns='urn:x'>%s</x></query>"
    r = await Person(w, romeo).come()
    marks = r['xep_0048'].stanza.Bookmarks()
    marks.add_conference('council@conference.underhill.org', 'Puck', name='\u00e9 & <x>', autojoin=True)
    await r['xep_0048'].set_bookmarks(marks)
    await r.ask('set', secret % '<y a="1"/>')
    await r.leave()
    yield
    r, j = await Person(w, romeo, 'elsewhere').come(), await Person(w, juliet).come()
    marks = (await r['xep_0048'].get_bookmarks())['private']['bookmarks']['conferences']
    assert [(str(m['jid']), m['nick'], m['name'], m['autojoin']) for m in marks] == [
        ('council@conference.underhill.org', 'Puck', '\u00e9 & <x>', True)]
    assert same(await r.ask('get', secret % ''), secret % '<y a="1"/>')
    with pytest.raises(IqError) as error:
        await j.ask('get', secret % '', to=romeo)
    assert condition(error) == 'forbidden'
    await r.leave()
    await j.leave()


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


@row('romeo', 'juliet', 'hermit')
async def vcard(w, romeo, juliet, hermit):
    """vcard: the whole XML and its 44 columns; the picture's hash in presence; search, and who is not in it."""
    xml, values = every_column()
    digest = hashlib.sha1(base64.b64decode(values['photo-binval'])).hexdigest()
    r, h = await Person(w, romeo).come(), await Person(w, hermit).come()
    await r.ask('set', xml)
    await h.ask('set', "<vCard xmlns='vcard-temp'><N><FAMILY>&lt;n-family&gt;</FAMILY></N><CLASS><PRIVATE/></CLASS></vCard>")
    await r.leave()
    await h.leave()
    yield
    for column, value in values.items():
        assert w.sql(f'SELECT "{column}" FROM "vcard" WHERE "collection-owner" = \'{romeo}\'') == [(value,)]
    j = await Person(w, juliet).come()
    assert same(await j.ask('get', "<vCard xmlns='vcard-temp'/>", to=romeo), xml)
    found = await j.ask('set', "<query xmlns='jabber:iq:search'><last>&lt;N-FAM</last></query>", to=w.domain)
    assert [item.get('jid') for item in found] == [romeo]
    r = await Person(w, romeo).come()
    while (photo := (await asyncio.wait_for(r.presences.get(), WAIT)).xml.find('{vcard-temp:x:update}x/{vcard-temp:x:update}photo')) is None:
        pass
    assert photo.text == digest
    await r.leave()
    await j.leave()


@row('romeo', 'juliet', 'mallory')
async def items_and_last(w, romeo, juliet, mallory):
    """disco-items, logout: what a user publishes, and when it was last here, while it is away; only to those entitled."""
    kids = "<query xmlns='http://jabber.org/protocol/disco#items' node='kids'>%s</query>"
    r, j = await Person(w, romeo).come(), await Person(w, juliet).come()
    r.auto_authorize = True
    await r.ask('set', kids % "<item action='update' jid='benvolio@jackdaw.test' name='Ben'/>")
    j.send_presence(pto=romeo, ptype='subscribe')
    await j.presence_of(romeo)
    r.send_presence(ptype='unavailable', pstatus='off to Mantua')
    await r.settled()
    await r.leave()
    await j.leave()
    await eventually(lambda: w.sql(f'SELECT "time" FROM "logout" WHERE "collection-owner" = \'{romeo}\''))
    yield
    j, m = await Person(w, juliet).come(), await Person(w, mallory).come()
    assert same(await j.ask('get', kids % '', to=romeo), kids % "<item jid='benvolio@jackdaw.test' name='Ben'/>")
    last = (await j['xep_0012'].get_last_activity(romeo))['last_activity']
    assert last['status'] == 'off to Mantua' and last['seconds'] >= 0
    for question in (kids % '', "<query xmlns='jabber:iq:last'/>"):
        with pytest.raises(IqError) as error:
            await m.ask('get', question, to=romeo)
        assert condition(error) in ('forbidden', 'service-unavailable')
    await j.leave()
    await m.leave()


@row('romeo', 'juliet')
async def privacy(w, romeo, juliet):
    """privacy-default, privacy-items: blocking (XEP-0191) and lists (XEP-0016) over the same data, while the user is away, too."""
    query = "<query xmlns='jabber:iq:privacy'>%s</query>"
    quiet = query % "<list name='quiet'><item action='deny' order='5'><message/></item></list>"

    async def refused(person, to):
        person.send_message(mto=to, mbody='?', mtype='chat')
        while (answer := await person.message())['type'] != 'error':
            pass
        return answer['error']['condition']

    r = await Person(w, romeo).come()
    await r['xep_0191'].block({juliet, 'spam.example'})
    await r.ask('set', quiet)
    await r.leave()
    yield
    j = await Person(w, juliet).come()
    assert await refused(j, romeo) == 'service-unavailable'  # nobody there
    r = await Person(w, romeo).come()
    blocked = await r['xep_0191'].get_blocked()
    assert {str(jid) for jid in blocked['blocklist']['items']} == {juliet, 'spam.example'}
    names = await r.ask('get', query % '')
    assert names.find('{jabber:iq:privacy}default').get('name') == 'urn:xmpp:blocking'
    assert same(await r.ask('get', query % "<list name='quiet'/>"), quiet)
    assert await refused(j, romeo) == 'service-unavailable'
    assert await refused(r, juliet) == 'not-acceptable'
    await r['xep_0191'].unblock({juliet})
    j.send_message(mto=romeo, mbody='at last', mtype='chat')
    assert (await r.message())['body'] == 'at last'
    await r.ask('set', query % "<active name='quiet'/>")
    assert await refused(j, r.boundjid.full) == 'service-unavailable'
    await r.leave()
    await j.leave()


@row('romeo', 'juliet')
async def queue(w, romeo, juliet):
    """queue: what is kept and what not, in order; flexible retrieval (XEP-0013), then everything that is left."""
    node = 'http://jabber.org/protocol/offline'
    roster_items = "<x xmlns='http://jabber.org/protocol/rosterx'><item action='add' jid='benvolio@jackdaw.test'/></x>"

    def send(body='', mtype='chat', payload=None):
        message = j.make_message(mto=romeo, mbody=body, mtype=mtype)
        if payload:
            message.xml.append(ET.fromstring(payload))
        message.send()

    async def headers():
        return [i.get('node') for i in await r.ask('get', f"<query xmlns='http://jabber.org/protocol/disco#items' node='{node}'/>")]

    j = await Person(w, juliet).come()
    send('one \u00e9<&>')
    send(payload="<composing xmlns='http://jabber.org/protocol/chatstates'/>")
    send('a headline', 'headline')
    send('not to be kept', payload="<no-store xmlns='urn:xmpp:hints'/>")
    send('two')
    send('three', 'normal', roster_items)
    send('four', 'normal')
    await j.settled()
    await eventually(lambda: w.sql(f'SELECT count(*) FROM "queue" WHERE "collection-owner" = \'{romeo}\'') == [('4',)])
    await j.leave()
    yield
    r = await Person(w, romeo).come(presence=False)
    info = await r['xep_0030'].get_info(node=node, local=False)
    assert info.xml.find('.//{jabber:x:data}field[@var="number_of_messages"]/{jabber:x:data}value').text == '4'
    nodes = await headers()
    assert len(nodes) == 4
    await r.ask('get', f"<offline xmlns='{node}'><item action='view' node='{nodes[1]}'/></offline>")
    assert (await r.message())['body'] == 'two' and r.messages.empty()
    await r.ask('set', f"<offline xmlns='{node}'><item action='remove' node='{nodes[1]}'/></offline>")
    await r.leave()
    r = await Person(w, romeo).come()
    came = [await r.message() for _ in range(3)]
    assert [m['body'] for m in came] == ['one \u00e9<&>', 'three', 'four']
    assert same(came[1].xml.find('{http://jabber.org/protocol/rosterx}x'), roster_items)
    assert all(m.xml.find('{urn:xmpp:delay}delay').get('from') == w.domain for m in came)
    await r.leave()
    r = await Person(w, romeo, 'later').come()
    await r.settled()
    assert bodies(r) == [] and await headers() == []
    await r.leave()


@row('romeo', 'juliet')
async def vacation(w, romeo, juliet):
    """vacation-settings: the answer goes once to each correspondent, also over a restart, and never to another vacation."""
    settings = "<query xmlns='http://jabber.org/protocol/vacation'>%s</query>"
    mantua = '<start>2020-01-01T00:00:00Z</start><message>Mantua</message>'
    r, j = await Person(w, romeo).come(), await Person(w, juliet).come()
    await r.ask('set', settings % mantua)
    await r.leave()
    j.send_message(mto=romeo, mbody='?', mtype='chat')
    assert (await j.message())['body'] == 'Mantua'
    await j.leave()
    yield
    r, j = await Person(w, romeo).come(), await Person(w, juliet).come()
    assert same(await r.ask('get', settings % ''), settings % mantua)
    j.send_message(mto=romeo, mbody='again', mtype='chat')
    assert [(await r.message())['body'] for _ in range(2)] == ['?', 'again']
    await j.settled()
    assert j.messages.empty()  # answered once, before the restart
    await r.leave()
    await j.leave()


@row('romeo')
async def status(w, romeo):
    """status: web presence as a table, and the service's own presence for who adds the domain."""
    def stored():
        return w.sql(f'SELECT "status", "show" FROM "status" WHERE "collection-owner" = \'{romeo}\'')

    r = await Person(w, romeo).come()
    r.send_presence(pshow='dnd')
    await eventually(lambda: stored() == [('online', 'dnd')])
    r.send_presence(pto=w.domain, ptype='subscribe')
    assert (await r.presence_of(w.domain))['from'].resource == 'webstatus'
    await r.leave()
    await eventually(lambda: stored() == [('offline', '')])
    yield
    assert stored() == [('offline', '')]
    r = await Person(w, romeo).come()
    await r.presence_of(w.domain)  # probed at login
    assert r.client_roster[w.domain]['subscription'] == 'to'
    await r.leave()


@row('romeo', 'juliet', 'nurse')
async def active(w, romeo, juliet, nurse):
    """active: creation times; disabled accounts; a removed one has its contacts told, its queue bounced, and no row left."""
    def listed():
        return {a['jid']: a for a in json.loads(w.command('user', 'list', '--json').stdout)}

    j, r = await Person(w, juliet).come(), await Person(w, romeo).come()
    for person, other in ((r, juliet), (j, romeo)):
        person.auto_authorize = True
        person.send_presence(pto=other, ptype='subscribe')
    await r.presence_of(juliet)
    await j.presence_of(romeo)
    await j.ask('set', "<vCard xmlns='vcard-temp'><FN>J</FN></vCard>")
    await j.ask('set', "<query xmlns='jabber:iq:private'><x xmlns='urn:x'>1</x></query>")
    await j['xep_0191'].block({'spam.example'})
    await j.leave()
    r.send_message(mto=juliet, mbody='are you there?', mtype='chat')
    await r.settled()
    assert listed()[juliet]['created'] > 1_700_000_000
    await asyncio.to_thread(w.command, 'user', 'disable', nurse)
    await asyncio.to_thread(w.command, 'user', 'del', juliet)
    while (bounced := await r.message())['type'] != 'error':
        pass
    assert bounced['error']['condition'] in ('item-not-found', 'service-unavailable', 'gone')
    await r.leave()
    yield
    assert juliet not in listed() and listed()[nurse]['disabled'] and not listed()[romeo]['disabled']
    r = await Person(w, romeo).come()
    assert r.client_roster[juliet]['subscription'] == 'none'
    await r.leave()
    owner = "\"collection-owner\" = '%s'" % juliet
    if w.database == 'postgres':
        tables = w.sql("SELECT c.table_name FROM information_schema.columns c JOIN information_schema.tables t"
                       " ON t.table_schema = c.table_schema AND t.table_name = c.table_name AND t.table_type = 'BASE TABLE'"
                       " WHERE c.table_schema = 'jackdaw_users' AND c.column_name = 'collection-owner'")
    else:
        tables = w.sql("SELECT m.name FROM sqlite_master m JOIN pragma_table_info(m.name) p ON p.name = 'collection-owner'"
                       " WHERE m.type = 'table'")
    assert len(tables) > 14
    assert [t for t, in tables if w.sql(f'SELECT 1 FROM "{t}" WHERE {owner}')] == []
    assert w.sql(f'SELECT 1 FROM "mam-rows" WHERE {owner} AND "object-sequence" > 0') == []


@row('romeo')
async def authreg(w, romeo):
    """authreg: a password changed by the client (XEP-0077) is the one that holds, and nowhere written."""
    r = await Person(w, romeo).come()
    await r['xep_0077'].change_password('something else')
    await r.leave()
    yield
    r = await Person(w, romeo, password='something else').come()
    await r.leave()
    old = Person(w, romeo)
    failed = asyncio.Event()
    old.add_event_handler('failed_auth', lambda event: failed.set())
    old.connect(('127.0.0.1', w.port))
    await asyncio.wait_for(failed.wait(), WAIT)
    old.abort()
    for path in w.data.rglob('*'):
        assert not path.is_file() or path.name == 'people.csv' or b'something else' not in path.read_bytes()


@row('romeo', 'juliet', 'tybalt')
async def shared_groups(w, romeo, juliet, tybalt):
    """Shared groups, and what they make of roster versions; the restart brings another member."""
    query = "<query xmlns='jabber:iq:roster' ver='%s'/>"
    r = await Person(w, romeo).come()
    item = r.client_roster[juliet]
    assert item['subscription'] == 'both' and item['groups'] == ['Staff']
    assert tybalt not in r.client_roster.keys()
    j = await Person(w, juliet).come()
    await r.presence_of(juliet)
    version = (await r.ask('get', query % '')).get('ver')
    assert await r.ask('get', query % version) is None
    await r.leave()
    await j.leave()
    yield
    r = await Person(w, romeo).come(presence=False)
    answer = await r.ask('get', query % version)  # another group: another version, and all of it
    assert {i.get('jid') for i in answer} >= {juliet, tybalt}
    assert await r.ask('get', query % answer.get('ver')) is None
    await r.get_roster()
    r.send_presence()
    t = await Person(w, tybalt).come()
    await r.presence_of(tybalt)
    await t.leave()
    await r.presence_of(tybalt, 'unavailable')
    await r.leave()


@row(f'herald@{STAFF}', f'romeo@{STAFF}', f'juliet@{STAFF}')
async def motd(w, herald, romeo, juliet):
    """motd-message, motd-times: each sees it once, who comes after the restart, too; announcements; the domain's own vCard. By
    somebody who administers this domain and no other."""
    card = "<vCard xmlns='vcard-temp'><FN>Capulet and sons</FN></vCard>"
    a, r = await Person(w, herald).come(), await Person(w, romeo).come()
    with pytest.raises(IqError) as error:
        await a.command('set-motd', QUIET, motd='Not yours')
    assert condition(error) == 'forbidden'
    a.send_message(mto=f'{STAFF}/announce/motd', mbody='Masks tonight')
    assert (await r.message())['body'] == 'Masks tonight'
    a.send_message(mto=f'{STAFF}/announce/online', mbody='Now')
    assert (await r.message())['body'] == 'Now'
    await a.ask('set', card, to=STAFF)
    await r.leave()
    await a.leave()
    yield
    j, r = await Person(w, juliet).come(), await Person(w, romeo).come()
    assert (await j.message())['body'] == 'Masks tonight'
    await r.settled()
    assert bodies(r) == [] and bodies(j) == []
    assert same(await r.ask('get', "<vCard xmlns='vcard-temp'/>", to=STAFF), card)
    a = await Person(w, herald).come()
    await a.command('announce', announcement='To all')
    assert (await r.message())['body'] == 'To all'
    await a.command('delete-motd')
    for person in (a, r, j):
        await person.leave()


@row(f'admin@{STAFF}', f'romeo@{STAFF}')
async def administration(w, admin, romeo):
    """Statistics (XEP-0039, XEP-0133 4.10), last login, help: messages to the domain find its administrator."""
    async def total():
        answer = await a.ask('get', "<query xmlns='http://jabber.org/protocol/stats'><stat name='users/total'/>"
                             "<stat name='users/online'/></query>", to=STAFF)
        return {s.get('name'): int(s.get('value')) for s in answer}

    async def becomes(question, wanted):
        """Sessions that have just ended may still be counted."""
        until = time.monotonic() + WAIT
        while (found := await question()) != wanted:
            assert time.monotonic() < until, found
            await asyncio.sleep(0.1)

    async def of_romeo():
        found = await a.command('user-stats', accountjid=romeo)
        return found['rostersize'], found['onlineresources'], found['ipaddresses']

    a, r = await Person(w, admin, 'desk').come(), await Person(w, romeo, 'orchard').come()
    await r.update_roster('friend@jackdaw.test', name='Friend')
    await becomes(total, {'users/total': 4, 'users/online': 2})
    await becomes(of_romeo, ('2', 'orchard', '127.0.0.1'))  # contacts: and the template's
    with pytest.raises(IqError) as error:
        await r.ask('get', "<query xmlns='http://jabber.org/protocol/stats'><stat name='users/total'/></query>", to=STAFF)
    assert condition(error) == 'forbidden'
    await a.leave()
    r.send_message(mto=STAFF, mbody='I forgot my password', msubject='help', mtype='normal')
    await r.settled()
    await r.leave()
    await eventually(lambda: w.sql(f'SELECT "time" FROM "logout" WHERE "collection-owner" = \'{romeo}\''))
    await eventually(lambda: w.sql(f'SELECT 1 FROM "queue" WHERE "collection-owner" = \'{admin}\''))
    yield
    a = await Person(w, admin, 'desk').come()
    while (help_ := await a.message())['body'] != 'I forgot my password':
        pass
    assert help_['subject'] == f'Fwd[{romeo}/orchard]: help' and help_['from'] == STAFF
    assert (await total())['users/total'] == 4
    assert (await a.command('get-user-lastlogin', accountjids=[romeo]))['lastlogin'].startswith('20')
    size, online, _ = await of_romeo()
    assert size == '2' and not online
    await a.leave()


@row(f'first@{QUIET}', f'later@{QUIET}')
async def new_accounts(w, first, later):
    """What new accounts get (template roster, welcome message), once, however they were made: here, in a file before the server ran."""
    a = await Person(w, f'admin@{STAFF}').come(presence=False)
    await a.command('set-welcome', QUIET, welcome='Be kind.')
    await a.leave()
    p = await Person(w, first).come()
    assert (await p.message())['body'] == 'Be kind.'
    await p.get_roster()
    assert p.client_roster[f'help@{DOMAIN}']['name'] == 'Help'
    await p.del_roster_item(f'help@{DOMAIN}')
    await p.leave()
    yield
    p = await Person(w, first).come()
    await p.settled()
    assert bodies(p) == [] and f'help@{DOMAIN}' not in p.client_roster.keys()
    n = await Person(w, later).come()
    assert (await n.message())['body'] == 'Be kind.'
    await n.get_roster()
    assert f'help@{DOMAIN}' in n.client_roster.keys()
    await p.leave()
    await n.leave()


@row()
async def guests(w):
    """Anonymous users (XEP-0175) leave nothing behind, not even when their server was killed."""
    def left():
        return w.sql(GUESTS_LEFT)

    g = await Person(w, GUESTS, guest=True).come()
    assert g.boundjid.domain == GUESTS and g.boundjid.user
    await eventually(left)
    await g.leave()
    await eventually(lambda: not left())
    g = await Person(w, GUESTS, guest=True).come()  # and stays
    await g.update_roster('friend@jackdaw.test')
    name = g.boundjid.bare
    yield
    assert w.guests == [(name,)] or w.placement != 'inline'  # an orderly end gets most of them
    if w.placement == 'inline' and w.database == 'sqlite':  # it takes the minute in which they could come back
        until = time.monotonic() + 120
        while left():
            assert time.monotonic() < until
            await asyncio.sleep(1)
        assert w.sql(f'SELECT 1 FROM "roster-items" WHERE "collection-owner" = \'{name}\'') == []


@pytest.mark.parametrize('name', list(ROWS))
def test_row(world, name):
    assert not world.half(name)
