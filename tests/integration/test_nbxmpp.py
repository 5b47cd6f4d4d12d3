"""nbxmpp (Debian's, the library of Gajim) with the real server: streams that are cut and resumed (XEP-0198), carbons (XEP-0280),
the archive page by page in both directions (XEP-0313, XEP-0059), its preferences (XEP-0441), client state (XEP-0352), blocking (XEP-0191)."""
from datetime import datetime, timedelta, timezone

import pytest

from cut import Cuttable
from nb import Iq, JID, Namespace, Nb, Node, Presence, until

NAMES = ('romeo', 'juliet', 'nurse')


@pytest.fixture
def verona(own_server):
    server = own_server().start()
    for name in NAMES:
        server.user(name)
    return server


@pytest.fixture
def network(verona):
    cuttable = Cuttable(verona.port)
    yield cuttable
    cuttable.close()


def bare(server, name):
    return f'{name}@{server.domain}'


def again(server):
    server.stop()
    server.start()


def test_resumed(verona, network):
    """Cut three times while both write: each message comes once, in order; then the server goes, and comes back."""
    romeo, juliet = Nb(verona, 'romeo', 'garden', network.port).come(), Nb(verona, 'juliet', 'balcony').come()
    to_romeo, to_juliet = [], []

    def talk(label, count, romeo_too=True):
        for i in range(count):
            to_romeo.append(f'{label}{i} to romeo')
            juliet.say(bare(verona, 'romeo'), to_romeo[-1])
            if romeo_too:
                to_juliet.append(f'{label}{i} to juliet')
                romeo.say(bare(verona, 'juliet'), to_juliet[-1])

    talk('at first ', 5)
    romeo.wait_bodies(to_romeo)
    for n in range(3):
        talk(f'before cut {n}, ', 5)  # on the way when the connection breaks
        network.cut()
        romeo.wait('disconnected')
        talk(f'behind cut {n}, ', 5, romeo_too=False)
        romeo.client.connect()
        assert romeo.wait('resume-successful', 'resume-failed', 'connection-failed') == 'resume-successful'
        romeo.wait_bodies(to_romeo)
        juliet.wait_bodies(to_juliet)
    again(verona)
    for device in (romeo, juliet):
        device.wait('disconnected')
        device.come()
    talk('after the restart ', 5)
    romeo.wait_bodies(to_romeo)
    juliet.wait_bodies(to_juliet)
    for device in (romeo, juliet):
        device.settle()
        device.leave()
    assert (romeo.bodies(), juliet.bodies()) == (to_romeo, to_juliet)


def test_carbons(verona):
    desk, phone = Nb(verona, 'romeo', 'desk').come(), Nb(verona, 'romeo', 'phone').come()
    juliet = Nb(verona, 'juliet', 'balcony').come()
    desk.carbons()
    phone.carbons()
    juliet.say(f'{bare(verona, "romeo")}/desk', 'to the desk')
    desk.wait_bodies(['to the desk'])
    phone.wait_bodies(['to the desk'])
    _, seen = phone.messages[0]
    assert seen.carbon.is_received and str(seen.jid) == f'{bare(verona, "juliet")}/balcony'
    # The copy and the message itself bear the one id of the archive (XEP-0313 section 3.5).
    assert [i.id for i in seen.stanza_ids] == [i.id for i in desk.messages[0][1].stanza_ids] != []
    phone.say(bare(verona, 'juliet'), 'from the phone')
    juliet.wait_bodies(['from the phone'])
    desk.wait_bodies(['to the desk', 'from the phone'])
    _, seen = desk.messages[1]
    assert seen.carbon.is_sent and str(seen.jid) == bare(verona, 'juliet') and seen.stanza_ids[0].by == bare(verona, 'romeo')
    juliet.say(bare(verona, 'romeo'), 'to both')
    for device in (desk, phone):
        until('the message to both', lambda d=device: 'to both' in d.bodies())
        assert device.messages[-1][1].carbon is None
        device.settle()
    assert phone.bodies() == ['to the desk', 'to both'] and desk.bodies() == ['to the desk', 'from the phone', 'to both']
    for device in (desk, phone, juliet):
        device.leave()


def query(device, *rsm, flip=False, queryid='q'):
    """A page by an iq of our own, since nbxmpp pages forwards only: (bodies, first, last, complete)."""
    before = len(device.messages)
    iq = Iq(typ='set', queryNS=Namespace.MAM_2)
    iq.getQuery().setAttr('queryid', queryid)
    page = Node('set', attrs={'xmlns': Namespace.RSM})
    for name, value in rsm:
        page.setTagData(name, value)
    payload = [page, Node(f'{Namespace.MAM_2} flip-page')] if flip else [page]
    iq.setQueryPayload(payload)
    fin = device.ask(iq).getTag('fin', namespace=Namespace.MAM_2)
    ends = fin.getTag('set', namespace=Namespace.RSM)
    found = device.messages[before:]
    assert all(p.mam.query_id == queryid for _, p in found)
    return [b for b, _ in found], ends.getTagData('first'), ends.getTagData('last'), fin.getAttr('complete') == 'true'


def test_archive(verona):
    texts = [f'line {i}' for i in range(65)]
    romeo, juliet = Nb(verona, 'romeo', 'garden').come(), Nb(verona, 'juliet', 'balcony').come()
    for text in texts:
        romeo.say(bare(verona, 'juliet'), text)
    juliet.wait_bodies(texts)
    live = [p.stanza_ids[0].id for _, p in juliet.messages]
    romeo.leave()
    juliet.leave()
    again(verona)
    juliet = Nb(verona, 'juliet', 'crypt').come(presence=False)
    own = juliet.client.get_bound_jid().new_as_bare()
    # forwards, as Gajim catches up
    ids, after, pages = [], None, 0
    while True:
        begun = len(juliet.messages)
        page = juliet.task('MAM', 'make_query', own, queryid='forwards', after=after, max_=20)
        ids += [p.mam.id for _, p in juliet.messages[begun:]]
        assert all(p.mam.archive == own and p.is_mam_message for _, p in juliet.messages[begun:])
        pages += 1
        after = page.rsm.last
        if page.complete:
            break
    assert pages == 4 and ids == live and juliet.bodies() == texts
    # how many there are, and those of a time
    assert juliet.task('MAM', 'make_query', own, max_=0).rsm.count == len(texts)
    future = juliet.task('MAM', 'make_query', own, start=datetime.now(timezone.utc) + timedelta(days=1), max_=10)
    assert future.complete and future.rsm.first is None
    # backwards, as somebody scrolls up; each page flipped every other time
    scrolled, before, turn = [], '', False
    while True:
        bodies, first, _, complete = query(juliet, ('max', 25), ('before', before), flip=turn, queryid='backwards')
        scrolled = (bodies[::-1] if turn else bodies) + scrolled
        before, turn = first, not turn
        if complete:
            break
    assert scrolled == texts
    juliet.leave()


def test_preferences(verona):
    romeo = Nb(verona, 'romeo', 'garden').come()
    prefs = romeo.task('MAM', 'request_preferences')
    assert (prefs.default, prefs.always, prefs.never) == ('always', [], [])
    romeo.task('MAM', 'set_preferences', 'roster', [bare(verona, 'nurse')], [bare(verona, 'juliet'), 'tybalt@example.net'])
    romeo.leave()
    again(verona)
    romeo = Nb(verona, 'romeo', 'garden').come()
    prefs = romeo.task('MAM', 'request_preferences')
    assert prefs.default == 'roster' and [str(j) for j in prefs.always] == [bare(verona, 'nurse')]
    assert {str(j) for j in prefs.never} == {bare(verona, 'juliet'), 'tybalt@example.net'}
    friends = [Nb(verona, name, 'x').come() for name in ('juliet', 'nurse')]
    for friend in friends:
        friend.say(bare(verona, 'romeo'), f'from {friend.name}')
        until('the message', lambda f=friend: f'from {f.name}' in romeo.bodies())
    assert [bool(p.stanza_ids) for _, p in romeo.messages] == [False, True]
    for device in (romeo, *friends):
        device.leave()


def test_client_state(verona):
    phone, friend = Nb(verona, 'romeo', 'phone').come(), Nb(verona, 'juliet', 'x').come()
    phone.state('inactive')
    phone.settle()
    for status in ('one', 'two', 'three'):
        friend.send(Presence(to=f'{bare(verona, "romeo")}/phone', status=status))
    friend.say(bare(verona, 'romeo'), 'wake up')  # what cannot wait takes along what could
    phone.wait_bodies(['wake up'])
    assert [status for _, status in phone.presences] == ['three']
    friend.send(Presence(to=f'{bare(verona, "romeo")}/phone', status='four'))
    friend.settle()
    phone.state('active')
    phone.settle()
    assert [status for _, status in phone.presences] == ['three', 'four']
    for device in (phone, friend):
        device.leave()


def test_blocking(verona):
    desk, phone = Nb(verona, 'romeo', 'desk').come(), Nb(verona, 'romeo', 'phone').come()
    juliet = Nb(verona, 'juliet', 'balcony').come()
    villain = JID.from_string(bare(verona, 'juliet'))
    assert phone.task('Blocking', 'request_blocking_list') == set()
    desk.task('Blocking', 'block', [villain])
    until('the push', lambda: phone.pushes)
    assert phone.pushes[0].block == {villain}
    juliet.say(bare(verona, 'romeo'), 'not heard')
    until('the refusal', lambda: juliet.messages)
    assert juliet.messages[0][1].error.condition == 'service-unavailable'
    for device in (desk, phone):
        device.leave()
    again(verona)
    juliet.wait('disconnected')
    juliet.come()
    desk = Nb(verona, 'romeo', 'desk').come()
    assert desk.task('Blocking', 'request_blocking_list') == {villain}
    desk.task('Blocking', 'unblock', [villain])
    juliet.say(bare(verona, 'romeo'), 'heard')
    desk.wait_bodies(['heard'])
    for device in (desk, juliet):
        device.leave()
