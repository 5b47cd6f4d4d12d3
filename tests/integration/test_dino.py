"""Dino (Debian's) with the real server: TLS by its own CA, SCRAM, what it has from the archive after it was away (XEP-0313), what
another client of the account said (XEP-0280), what a cut connection costs (XEP-0198): nothing. It finds its server at port 5222 of
the account's domain, so that is localhost, in the network that these tests have of their own. It knows no XEP-0352."""
import pytest

from conftest import Server, need, need_namespaces
from cut import Cuttable
from dino import Dino, Screen
from raw import NS

SM = 'urn:xmpp:sm:3'


class Localhost(Server):
    domain = 'localhost'


@pytest.fixture
def verona(placement):
    for program, package in (('dino-im', 'dino-im'), ('Xvfb', 'xvfb'), ('xdotool', 'xdotool'), ('dbus-run-session', 'dbus')):
        need(program, package)
    need_namespaces()  # Dino's authorities and its DNS are files of the machine
    server = Localhost(placement)
    try:
        server.start()
        for name in ('romeo', 'juliet'):
            server.user(name)
        yield server
    finally:
        server.remove()


@pytest.fixture
def network(verona):
    network = Cuttable(verona.port, 5222)
    yield network
    network.close()


@pytest.fixture
def desk(verona, network):
    """Romeo's."""
    screen = Screen()
    dino = Dino(screen, verona, 'romeo', 'desk')
    try:
        yield dino
    finally:
        dino.remove()
        screen.close()


def come(dino):
    """It has asked the archive for what it missed, and got it."""
    dino.start()
    dino.until('the archive is read', lambda: dino.has('{urn:xmpp:mam:2}:fin'))


def raw(server, name, resource):
    client = server.client(name, resource)
    client.send('<presence/>')
    client.wait_for('presence')
    return client


def say(client, to, text):
    client.send(f"<message to='{to}' type='chat' id='{text.replace(' ', '-')}'><body>{text}</body></message>")
    client.ping()


def hear(client):
    """The next text; what Dino says of reading and typing is passed over."""
    while True:
        body = client.wait_for('message', 90).findtext('c:body', namespaces=NS)
        if body:
            return body


def test_day(verona, network, desk):
    """A day of Romeo's: at home, away, at home again, with his telephone beside. (Dino reads an archive page by page from the newest
    message back to the newest that it knows; when it knows none, as at its first start, it takes one page.)"""
    juliet = raw(verona, 'juliet', 'balcony')
    texts = ['before he has it']
    say(juliet, f'romeo@{verona.domain}', texts[0])
    come(desk)
    assert desk.has("mechanism='SCRAM-SHA-"), 'it has logged in without SCRAM'
    assert desk.seen('IN', SM, 'enabled') == 1
    desk.wait_texts(texts)  # once: it waits offline, and is in the archive
    desk.wait_range()
    phone = raw(verona, 'romeo', 'phone')
    texts.append('good morning')
    say(juliet, f'romeo@{verona.domain}', texts[-1])
    desk.wait_texts(texts)
    desk.open(f'juliet@{verona.domain}')
    desk.type('from the desk')
    assert hear(juliet) == 'from the desk'
    say(phone, f'juliet@{verona.domain}', 'from the telephone')
    assert hear(juliet) == 'from the telephone'
    texts += ['from the desk', 'from the telephone']
    desk.wait_texts(texts)
    assert {text for ours, text, _ in desk.messages() if ours} == {'from the desk', 'from the telephone'}
    desk.stop()
    for n in range(60):  # more than the page it asks for
        texts.append(f'while he is away {n}')
        say(juliet, f'romeo@{verona.domain}/phone', texts[-1])
    texts.append('from the telephone again')
    say(phone, f'juliet@{verona.domain}', texts[-1])
    juliet.end()
    phone.end()
    verona.stop()
    verona.start()
    come(desk)
    desk.wait_texts(texts)
    assert all(i for _, text, i in desk.messages() if text.startswith('while he is away')), 'they bear the ids of the archive'
    juliet = raw(verona, 'juliet', 'balcony')
    say(juliet, f'romeo@{verona.domain}', 'good night')
    desk.wait_texts([*texts, 'good night'])
    juliet.end()
    desk.stop()
    verona.stop()


def test_resumed(verona, network, desk):
    """It comes back by itself, and the stream goes on where it was cut; behind a restart of the server, too."""
    come(desk)
    juliet, romeo = raw(verona, 'juliet', 'balcony'), f'romeo@{verona.domain}'
    texts = []
    for n in range(2):
        texts += [f'before cut {n}', f'behind cut {n}']
        say(juliet, romeo, texts[-2])
        desk.wait_texts(texts[:-1])
        network.cut()
        say(juliet, romeo, texts[-1])
        desk.wait_seen('IN', SM, 'resumed', n + 1)
        desk.wait_texts(texts)
    assert desk.seen('IN', SM, 'enabled') == 1
    desk.open(f'juliet@{verona.domain}')
    desk.type('still here')
    assert hear(juliet) == 'still here'
    juliet.end()
    desk.stop()
    verona.stop()
