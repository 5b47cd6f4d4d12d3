"""The archive (XEP-0313) as slixmpp sees it, which knows it from its specification and not from us: pages, filters, prefs,
search, tombstones; after a restart, after kill -9, over both databases; and what a backup carries."""
import asyncio

import pytest
import slixmpp
from slixmpp.xmlstream.handler import Callback
from slixmpp.xmlstream.matcher import MatchXPath

from raw import WAIT
from test_tables import Person, run

DATABASES = ['sqlite', 'postgres']
SEARCH = '{urn:xmpp:fulltext:0}fulltext'


class Reader(Person):
    def __init__(self, server, name, resource='here', acks=False):
        super().__init__(server, name, resource)
        for plugin in ['xep_0059', 'xep_0313', 'xep_0359', 'xep_0441'] + (['xep_0198'] if acks else []):
            self.register_plugin(plugin)
        self.results = []
        self.register_handler(Callback('results', MatchXPath('{jabber:client}message/{urn:xmpp:mam:2}result'),
                                       self.results.append))

    async def archive(self, **query):
        """[(archive id, body or None, message)] of everything that matches, page by page."""
        found = []
        async for message in self['xep_0313'].iterate(**query):
            result = message['mam_result']
            inner = result['forwarded']['stanza']
            found.append((result['id'], inner['body'] or None, inner))
        return found

    async def bodies(self, **query):
        return [body for _, body, _ in await self.archive(**query)]

    async def search(self, words):
        """Bodies found, by a query that slixmpp has no words for."""
        self.results.clear()
        form = ("<query xmlns='urn:xmpp:mam:2'><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'>"
                f"<value>urn:xmpp:mam:2</value></field><field var='{SEARCH}'><value>{words}</value></field></x></query>")
        await self.ask('set', form)
        return [m.xml.find('.//{jabber:client}body').text for m in self.results]


@pytest.fixture
def two(own_server):
    server = own_server().start()
    server.user('romeo')
    server.user('juliet')
    return server


async def say(sender, receiver, texts):
    """Sends them and waits until they have come."""
    for text in texts:
        sender.send_message(mto=f'{receiver.boundjid.bare}', mbody=text, mtype='chat')
    return [await asyncio.wait_for(receiver.messages.get(), WAIT) for _ in texts]


def own_id(message, jid):
    """The id in this archive that a live message bears."""
    found = [e.get('id') for e in message.xml.findall('{urn:xmpp:sid:0}stanza-id') if e.get('by') == jid]
    assert len(found) == 1
    return found[0]


def test_pages_and_restart(two):
    texts = [f'line {i}' for i in range(25)]

    async def write():
        romeo, juliet = await Reader(two, 'romeo').come(), await Reader(two, 'juliet').come()
        live = await say(romeo, juliet, texts)
        await romeo.leave()
        await juliet.leave()
        return [own_id(m, f'juliet@{two.domain}') for m in live]

    async def read(ids):
        romeo, juliet = await Reader(two, 'romeo', 'b').come(), await Reader(two, 'juliet', 'b').come(presence=False)
        archive = await juliet.archive(rsm={'max': 10})
        assert [body for _, body, _ in archive] == texts
        assert [i for i, _, _ in archive] == ids
        assert {str(m['from']) for _, _, m in archive} == {f'romeo@{two.domain}/here'}
        assert await romeo.bodies(rsm={'max': 7}) == texts
        assert await juliet.bodies(with_jid=slixmpp.JID(f'romeo@{two.domain}'), rsm={'max': 50}) == texts
        assert await juliet.bodies(with_jid=slixmpp.JID(f'nobody@{two.domain}')) == []
        # an id is all of its digits: one that names the right time is no id (XEP-0313 section 4.3.2)
        other = ids[3][:-1] + ('0' if ids[3][-1] != '0' else '1')
        for query in [f"<set xmlns='http://jabber.org/protocol/rsm'><after>{i}</after><max>1</max></set>" for i in (ids[3], other)]:
            try:
                await juliet.ask('set', f"<query xmlns='urn:xmpp:mam:2'>{query}</query>")
                assert other not in query
            except slixmpp.exceptions.IqError as error:
                assert other in query and error.iq['error']['condition'] == 'item-not-found'
        metadata = await juliet['xep_0313'].get_archive_metadata()
        assert metadata['mam_metadata']['start']['id'] == ids[0]
        assert metadata['mam_metadata']['end']['id'] == ids[-1]
        form = await juliet['xep_0313'].get_fields()
        assert {'with', 'start', 'end', 'before-id', 'after-id', 'ids', 'include-groupchat', SEARCH} <= set(form.get_fields())
        await romeo.leave()
        await juliet.leave()

    ids = run(write())
    two.stop()
    two.start()
    run(read(ids))


def test_search_and_tombstones(two):
    async def talk():
        romeo, juliet = await Reader(two, 'romeo').come(), await Reader(two, 'juliet').come()
        await say(romeo, juliet, ['What\'s in a name? that which we call a rose', 'By any other word would smell as sweet',
                                  'Jul\u00eda, la ROSE', 'a "quoted" * rose (NEAR) OR -x'])
        assert await juliet.search('rose') == ['What\'s in a name? that which we call a rose', 'Jul\u00eda, la ROSE',
                                               'a "quoted" * rose (NEAR) OR -x']
        assert await juliet.search('Rose NAME') == ['What\'s in a name? that which we call a rose']
        assert await juliet.search('&quot;rose* AND (') == await juliet.search('rose and')
        assert await juliet.search('!?') == []
        # what came since the last search
        await say(romeo, juliet, ['one more rose'])
        assert 'one more rose' in await juliet.search('rose')
        assert await romeo.search('sweet') == ['By any other word would smell as sweet']
        # nobody finds what is another's, and what is taken back is not found any more
        message = romeo.make_message(mto=juliet.boundjid.bare, mbody='a secret rose', mtype='chat')
        message['id'] = 'secret'
        message.send()
        await asyncio.wait_for(juliet.messages.get(), WAIT)
        assert 'a secret rose' in await juliet.search('secret')
        retraction = romeo.make_message(mto=juliet.boundjid.bare, mtype='chat')
        retraction['id'] = 'sorry'
        retraction.xml.append(slixmpp.xmlstream.ET.fromstring("<retract xmlns='urn:xmpp:message-retract:1' id='secret'/>"))
        retraction.xml.append(slixmpp.xmlstream.ET.fromstring("<store xmlns='urn:xmpp:hints'/>"))
        retraction.send()
        for _ in range(100):
            if not await juliet.search('secret') and not await romeo.search('secret'):
                break
            await asyncio.sleep(0.1)
        stones = [m.xml.find('{urn:xmpp:message-retract:1}retracted') for _, _, m in await juliet.archive(rsm={'max': 50})]
        assert [s.get('id') for s in stones if s is not None] == ['sorry']
        assert 'a secret rose' not in await juliet.bodies(rsm={'max': 50})
        await romeo.leave()
        await juliet.leave()

    run(talk())


def test_preferences_survive(two):
    async def write():
        romeo = await Reader(two, 'romeo').come()
        await romeo.ask('set', "<prefs xmlns='urn:xmpp:mam:2' default='never'><always><jid>nurse@example.org</jid></always></prefs>")
        await romeo.leave()

    async def read():
        romeo, juliet = await Reader(two, 'romeo').come(), await Reader(two, 'juliet').come()
        prefs = await romeo.ask('get', "<prefs xmlns='urn:xmpp:mam:2'/>")
        assert prefs.get('default') == 'never'
        assert [j.text for j in prefs.iter('{urn:xmpp:mam:2}jid')] == ['nurse@example.org']
        message, = await say(juliet, romeo, ['not kept'])
        assert not message.xml.findall('{urn:xmpp:sid:0}stanza-id')
        assert await romeo.bodies() == []
        assert await juliet.bodies() == ['not kept']
        await romeo.leave()
        await juliet.leave()

    run(write())
    two.stop()
    two.start()
    run(read())


def test_kill(two):
    """What was acknowledged to the sender is in both archives once, and what was delivered has the id that it has there."""
    async def write():
        romeo, juliet = await Reader(two, 'romeo', acks=True).come(), await Reader(two, 'juliet').come()
        live = await say(romeo, juliet, [f'line {i}' for i in range(200)])
        acks = romeo['xep_0198']
        while acks.unacked_queue:
            acks.request_ack()
            await asyncio.sleep(0.05)
        for process in two.processes.values():
            process.kill()
        for client in (romeo, juliet):
            client.abort()
        return [own_id(m, f'juliet@{two.domain}') for m in live]

    async def read(ids):
        romeo, juliet = await Reader(two, 'romeo').come(), await Reader(two, 'juliet').come()
        wanted = [f'line {i}' for i in range(200)]
        archive = await juliet.archive(rsm={'max': 100})
        assert [body for _, body, _ in archive] == wanted
        assert [i for i, _, _ in archive] == ids
        assert await romeo.bodies(rsm={'max': 100}) == wanted
        await romeo.leave()
        await juliet.leave()

    ids = run(write())
    two.processes = {}
    two.start()
    run(read(ids))


def test_backup_of_a_searched_archive(two):
    """The index of words is in no backup, and is made anew."""
    async def write():
        romeo, juliet = await Reader(two, 'romeo').come(), await Reader(two, 'juliet').come()
        await say(romeo, juliet, ['a rose', 'a name'])
        assert await juliet.search('rose') == ['a rose']
        await romeo.leave()
        await juliet.leave()

    async def read():
        juliet = await Reader(two, 'juliet').come()
        assert await juliet.search('rose') == ['a rose']
        assert await juliet.bodies() == ['a rose', 'a name']
        await juliet.leave()

    run(write())
    archive = str(two.data / 'backup.jackdaw')
    told = two.command('backup', archive).stdout
    assert 'mam' in told and 'search-words' not in told
    two.stop()
    two.command('restore', archive, '--force')
    two.start()
    run(read())
