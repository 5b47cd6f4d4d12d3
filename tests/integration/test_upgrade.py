"""XEP-0480 and XEP-0388 section 2.1: an account that has keys for one SCRAM hash alone, as one that was imported from
a server that knew no other."""
import base64
import hashlib
import sqlite3

import pytest

from raw import local
from sasl2 import BIND2, S2, Sasl2, agent, b64, condition
from test_sasl2 import request_token, token_of

UPGRADE = 'urn:xmpp:sasl:upgrade:0'
SALT = 'urn:xmpp:scram-upgrade:0'
BOTH = ''.join(f"<upgrade xmlns='{UPGRADE}'>UPGR-SCRAM-SHA-{n}</upgrade>" for n in (512, 256))


def keys(server, name):
    path = next(server.data.rglob('accounts.db'))
    with sqlite3.connect(path) as db:
        return sorted(row[0] for row in db.execute('SELECT mech FROM authkeys WHERE username = ?', (name,)))


@pytest.fixture
def old(server, request):
    """An account with keys for SHA-1 alone: its name."""
    name = request.node.name.replace('[', '-').replace(']', '').replace('_', '-')
    server.user(name)
    with sqlite3.connect(next(server.data.rglob('accounts.db')), timeout=30) as db:
        db.execute("DELETE FROM authkeys WHERE username = ? AND mech <> 'SCRAM-SHA-1'", (name,))
    return name


def login(server, name, more='', mechanism='SCRAM-SHA-1'):
    client = Sasl2(server)
    client.begin(name)
    return client, client.scram(name, server.password, more, mechanism)


def do_task(client, server, task, password=None):
    """<next/>, <task-data/> with the salt, <task-data/> with the hash; returns what comes then."""
    algorithm = {'UPGR-SCRAM-SHA-256': 'sha256', 'UPGR-SCRAM-SHA-512': 'sha512'}[task]
    client.send(f"<next xmlns='{S2}' task='{task}'/>")
    salt = client.next().find(f'{{{SALT}}}salt')
    assert int(salt.get('iterations')) >= 4096 and len(base64.b64decode(salt.text)) >= 16
    salted = hashlib.pbkdf2_hmac(algorithm, (password or server.password).encode(), base64.b64decode(salt.text),
                                 int(salt.get('iterations')))
    client.send(f"<task-data xmlns='{S2}'><hash xmlns='{SALT}'>{b64(salted)}</hash></task-data>")
    return client.next()


def tasks_of(element):
    assert local(element) == 'continue'
    return [t.text for t in element.findall(f'{{{S2}}}tasks/{{{S2}}}task')]


def test_offered_is_what_the_account_has(server, old):
    """Only who says who it is gets the shorter list; nobody's account looks like most."""
    client = Sasl2(server)
    features = client.begin(old)
    assert client.offered() == ['SCRAM-SHA-1-PLUS', 'SCRAM-SHA-1', 'PLAIN']
    assert [u.text for u in features.findall(f'{{{S2}}}authentication/{{{UPGRADE}}}upgrade')] == [
        'UPGR-SCRAM-SHA-256', 'UPGR-SCRAM-SHA-512']
    client.send(f"<authenticate xmlns='{S2}' mechanism='SCRAM-SHA-256'/>")
    assert condition(client.next()) == 'invalid-mechanism'
    client.close()
    for name in None, 'nobody':
        client = Sasl2(server)
        client.begin(name)
        assert len(client.offered()) == 7
        client.close()


def test_upgrade(server, old):
    """Both tasks, one after the other, then resource and token; the new keys are good, and are asked for no more."""
    client, answer = login(server, old, agent(1) + BOTH + request_token('HT-SHA-256-NONE') + f"<bind xmlns='{BIND2}'/>")
    assert tasks_of(answer) == ['UPGR-SCRAM-SHA-256']
    answer = do_task(client, server, 'UPGR-SCRAM-SHA-256')
    assert tasks_of(answer) == ['UPGR-SCRAM-SHA-512'] and answer.find(f'{{{S2}}}additional-data') is None
    success = do_task(client, server, 'UPGR-SCRAM-SHA-512')
    assert local(success) == 'success'
    assert success.find(f'{{{BIND2}}}bound') is not None and token_of(success)
    assert local(client.next()) == 'features'
    client.ping()
    client.close()
    assert keys(server, old) == ['SCRAM-SHA-1', 'SCRAM-SHA-256', 'SCRAM-SHA-512']
    for mechanism in 'SCRAM-SHA-1', 'SCRAM-SHA-256', 'SCRAM-SHA-512':
        client, answer = login(server, old, BOTH, mechanism)
        assert local(answer) == 'success'
        client.close()


def test_not_by_token(server, old):
    """Who shows a token shows no password, and may set none."""
    client, answer = login(server, old, agent(2) + request_token('HT-SHA-256-NONE'))
    token = token_of(answer)
    client.close()
    client = Sasl2(server)
    assert local(client.fast(old, token, 'HT-SHA-256-NONE', agent(2), BOTH)) == 'success'
    client.close()
    assert keys(server, old) == ['SCRAM-SHA-1']


def test_wrong_task(server, old):
    client, answer = login(server, old, BOTH)
    assert tasks_of(answer) == ['UPGR-SCRAM-SHA-256']
    client.send(f"<next xmlns='{S2}' task='UPGR-SCRAM-SHA-512'/>")
    assert condition(client.next()) == 'malformed-request'
    # a failure leaves the stream as it was
    assert local(client.scram(old, server.password, mechanism='SCRAM-SHA-1')) == 'success'
    client.close()


@pytest.mark.parametrize('text, expected', [('', 'malformed-request'), ('AAAA', 'malformed-request'), ('!!!!', 'incorrect-encoding')],
                         ids=['none', 'short', 'base64'])
def test_wrong_hash(server, old, text, expected):
    client, answer = login(server, old, BOTH)
    client.send(f"<next xmlns='{S2}' task='{tasks_of(answer)[0]}'/>")
    assert local(client.next()) == 'task-data'
    client.send(f"<task-data xmlns='{S2}'><hash xmlns='{SALT}'>{text}</hash></task-data>")
    assert condition(client.next()) == expected
    client.close()
    assert keys(server, old) == ['SCRAM-SHA-1']


def test_abort(server, old):
    for before in 0, 1:
        client, answer = login(server, old, BOTH)
        if before:
            client.send(f"<next xmlns='{S2}' task='{tasks_of(answer)[0]}'/>")
            assert local(client.next()) == 'task-data'
        client.send(f"<abort xmlns='{S2}'/>")
        assert condition(client.next()) == 'aborted'
        client.close()
    assert keys(server, old) == ['SCRAM-SHA-1']


@pytest.mark.parametrize('element', ['presence', 'response', 'authenticate', 'task-data'])
def test_something_else(server, old, element):
    """XEP-0388 section 2.4: it ends the stream, and nothing was done."""
    client, answer = login(server, old, BOTH)
    assert tasks_of(answer)
    client.send('<presence/>' if element == 'presence' else f"<{element} xmlns='{S2}'/>")
    assert client.stream_error()[0] == ('not-authorized' if element == 'presence' else 'policy-violation')
    assert keys(server, old) == ['SCRAM-SHA-1']
