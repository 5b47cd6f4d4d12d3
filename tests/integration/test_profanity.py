"""profanity (Debian's) with the real server: what two of one person's terminals show of a conversation (XEP-0280), what one shows of
what came while it was away (XEP-0160), and what a cut connection costs (XEP-0198): nothing."""
import pytest

from conftest import need
from cut import Cuttable
from profanity import Profanity
from raw import NS

READY = 'Message carbons enabled'


@pytest.fixture
def verona(own_server):
    need('profanity', 'profanity')
    server = own_server().start()
    for name in ('romeo', 'juliet'):
        server.user(name)
    return server


@pytest.fixture
def people(verona):
    """Makes profanities that are gone after the test."""
    made = []

    def make(*arguments):
        made.append(Profanity(verona, *arguments))
        return made[-1]
    yield make
    for p in made:
        p.remove()


def come(person, times=1):
    """It has asked all that it asks at its start, and got its answers."""
    if person.process is None:
        person.start()
    person.wait_log(READY, times)
    return person


def juliet_of(server):
    juliet = server.client('juliet', 'balcony')
    juliet.send('<presence/>')
    juliet.wait_for('presence')
    return juliet


def say(raw, to, text):
    raw.send(f"<message to='{to}' type='chat' id='{text.replace(' ', '-')}'><body>{text}</body></message>")


def hear(raw):
    return raw.wait_for('message', 90).findtext('c:body', namespaces=NS)


def test_carbons(verona, people):
    desk, phone = come(people('romeo', 'desk')), come(people('romeo', 'phone'))
    juliet, romeo = juliet_of(verona), f'romeo@{verona.domain}'
    say(juliet, f'{romeo}/desk', 'to the desk')
    for device in (desk, phone):
        device.wait_texts(['to the desk'])
    phone.type(f'/msg juliet@{verona.domain} from the phone')
    assert hear(juliet) == 'from the phone'
    for device in (desk, phone):
        device.wait_texts(['to the desk', 'from the phone'])
    say(juliet, romeo, 'to both')
    for device in (desk, phone):
        device.wait_texts(['to the desk', 'from the phone', 'to both'])
        assert [sender for sender, _, _ in device.history()] == [f'juliet@{verona.domain}', romeo, f'juliet@{verona.domain}']
        device.stop()
    juliet.end()


def test_waiting(verona, people):
    """What came while it was away is there when it comes back behind a restart of the server: once, in order, in front of what is
    new. (profanity 0.13 asks no archive here: it looks for XEP-0313 among the features of the domain, where it may not be.)"""
    desk = come(people('romeo', 'desk'))
    juliet, romeo = juliet_of(verona), f'romeo@{verona.domain}'
    texts = ['at first']
    say(juliet, romeo, texts[0])
    desk.wait_texts(texts)
    desk.stop()
    for n in range(20):
        texts.append(f'to nobody {n}')
        say(juliet, romeo, texts[-1])
    juliet.ping()
    juliet.end()
    verona.stop()
    verona.start()
    come(desk, 2)
    desk.wait_texts(texts)
    juliet = juliet_of(verona)
    texts.append('again')
    say(juliet, romeo, texts[-1])
    desk.wait_texts(texts)
    desk.stop()
    juliet.end()


def test_resumed(verona, people):
    """It comes back by itself, and the stream goes on where it was cut; behind a restart of the server it begins anew."""
    network = Cuttable(verona.port)
    desk = come(people('romeo', 'desk', network.port))
    juliet, romeo = juliet_of(verona), f'romeo@{verona.domain}'
    texts = []

    def talk(text):
        texts.append(text)
        say(juliet, romeo, text)

    for n in range(3):
        talk(f'before cut {n}')
        desk.wait_texts(texts)
        network.cut()
        talk(f'behind cut {n}')
        juliet.ping()
        desk.wait_log('<resumed ', n + 1)
        desk.wait_texts(texts)
        desk.type(f'/msg juliet@{verona.domain} again {n}')
        texts.append(f'again {n}')
        assert hear(juliet) == texts[-1]
    assert desk.seen('RECV: <enabled ') == 1
    juliet.end()
    verona.stop()
    verona.start()
    desk.until('it is back', lambda: desk.seen(READY) > 1 or desk.seen('<resumed ') > 3)
    juliet = juliet_of(verona)
    talk('after the restart')
    desk.wait_texts(texts)
    desk.stop()
    juliet.end()
    network.close()
