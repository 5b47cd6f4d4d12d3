"""XEP-0388 and what comes with it, over TLS, with the real server."""
import base64
import hashlib
import hmac
import json
import subprocess
import time

import pytest
from OpenSSL import SSL

from raw import Raw, bodies, local
from sasl2 import BIND2, CB, FAST, S2, SM, Sasl2, agent, condition

THREADS = True


@pytest.fixture(scope='module')
def people(server):
    server.user('romeo')
    server.user('juliet')
    return server


def test_only_behind_tls(people):
    client = Raw(people.port, people.domain, people.ca)
    assert client.open().find(f'{{{S2}}}authentication') is None
    client.send(f"<authenticate xmlns='{S2}' mechanism='SCRAM-SHA-256'/>")
    assert condition(client.next()) == 'invalid-mechanism'
    client.close()


@pytest.mark.parametrize('mechanism', ['SCRAM-SHA-1', 'SCRAM-SHA-256', 'SCRAM-SHA-512'])
@pytest.mark.parametrize('binding', [None, 'tls-exporter', 'tls-server-end-point'])
def test_scram(people, mechanism, binding):
    """Every hash, every channel binding, and the announcement as the server meant it (XEP-0474)."""
    client = Sasl2(people)
    client.begin('romeo')
    data = {'tls-exporter': client.sock.exporter, 'tls-server-end-point': client.sock.end_point}
    success = client.scram('romeo', people.password, mechanism=mechanism + ('-PLUS' if binding else ''),
                           binding=(binding, data[binding]()) if binding else None)
    assert local(success) == 'success'
    assert success.findtext(f'{{{S2}}}authorization-identifier') == 'romeo@jackdaw.test'
    assert local(client.next()) == 'features'
    client.bind('hall')
    client.ping()
    client.end()


def test_announced(people):
    """XEP-0440: both types beside both profiles, "MUST implement tls-server-end-point"; section 2.1: nothing of it before TLS."""
    client = Sasl2(people)
    features = client.begin()
    types = [t.get('type') for t in features.findall(f'{{{CB}}}sasl-channel-binding/{{{CB}}}channel-binding')]
    assert sorted(types) == ['tls-exporter', 'tls-server-end-point']
    assert features.find('{urn:ietf:params:xml:ns:xmpp-sasl}mechanisms') is not None and 'SCRAM-SHA-256-PLUS' in client.offered()
    client.close()
    client = Raw(people.port, people.domain, people.ca)
    assert client.open().find(f'{{{CB}}}sasl-channel-binding') is None
    client.close()


def test_no_early_data(people, tmp_path):
    """XEP-0388 section 3: what TLS 1.3 calls early data is not taken: the session tickets say so."""
    ticket = tmp_path / 'session'
    with subprocess.Popen(['openssl', 's_client', '-connect', f'127.0.0.1:{people.tls_port}', '-servername', people.domain, '-tls1_3',
                           '-alpn', 'xmpp-client', '-sess_out', str(ticket)], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL) as client:
        until = time.monotonic() + 60
        while not (ticket.exists() and b'END SSL SESSION' in ticket.read_bytes()):
            assert time.monotonic() < until and client.poll() is None, 'no ticket'
            time.sleep(0.05)
        client.stdin.close()
        client.kill()
    text = subprocess.run(['openssl', 'sess_id', '-in', str(ticket), '-noout', '-text'], capture_output=True, check=True).stdout
    assert b'Max Early Data: 0\n' in text


@pytest.mark.parametrize('binding', [None, 'tls-exporter'])
def test_changed_announcement(people, binding):
    """XEP-0474 section 6.2: who has changed the lists on their way has to change the hash, too, and then no proof fits."""
    client = Sasl2(people)
    client.begin('romeo')
    forged = client.offered()[-1:]
    client.offered = lambda: forged  # what the attacker has left of the list
    failure = client.scram('romeo', people.password, mechanism='SCRAM-SHA-256' + ('-PLUS' if binding else ''),
                           binding=(binding, client.sock.exporter()) if binding else None,
                           on_way=lambda parts: parts | {'h': client.ssdp('sha256')})
    assert condition(failure) == 'not-authorized'
    client.close()


def test_wrong_channel_binding(people):
    client = Sasl2(people)
    client.begin()
    failure = client.scram('romeo', people.password, mechanism='SCRAM-SHA-256-PLUS', binding=('tls-exporter', bytes(32)))
    assert condition(failure) == 'not-authorized'
    client.close()


def test_tls_1_2(people):
    client = Sasl2(people, SSL.TLS1_2_VERSION)
    client.begin('romeo')
    assert local(client.scram('romeo', people.password, mechanism='SCRAM-SHA-256-PLUS',
                              binding=('tls-exporter', client.sock.exporter()))) == 'success'
    client.close()


def test_plain_and_bind_in_one_flight(people):
    """Header, login and resource go out together, and stanzas behind them: nothing is waited for."""
    juliet = people.client('juliet', 'balcony')
    client = Sasl2(people)
    token = 'AHJvbWVvAGNvcnJlY3QgaG9yc2U='  # \0romeo\0correct horse
    client.send(client.opening('romeo') +
                f"<authenticate xmlns='{S2}' mechanism='PLAIN'><initial-response>{token}</initial-response>{agent(1)}"
                f"<bind xmlns='{BIND2}'><tag>test</tag><enable xmlns='{SM}' resume='true'/></bind></authenticate>"
                "<message to='juliet@jackdaw.test/balcony' type='chat'><body>already</body></message>")
    assert local(client.next()) == 'features'
    success = client.next()
    assert local(success) == 'success' and client.flights == 1
    full = success.findtext(f'{{{S2}}}authorization-identifier')
    assert full.startswith('romeo@jackdaw.test/test/')
    assert success.find(f'{{{BIND2}}}bound/{{{SM}}}enabled').get('resume') == 'true'
    message = juliet.wait_for('message')
    assert bodies([message]) == ['already'] and message.get('from') == full
    juliet.end()
    client.close()


# ---- XEP-0484 ----

def token_of(success):
    element = success.find(f'{{{FAST}}}token')
    return None if element is None else element.get('token')


def request_token(mechanism):
    return f"<request-token xmlns='{FAST}' mechanism='{mechanism}'/>"


def give_token(people, number, mechanism='HT-SHA-256-EXPR', most=SSL.TLS1_3_VERSION, name='romeo', password=None, more=''):
    client = Sasl2(people, most)
    client.begin(name)
    success = client.success = client.scram(name, password or people.password, agent(number) + request_token(mechanism) + more)
    token = token_of(success)
    assert token and len(token) >= 40
    return client, token


@pytest.mark.parametrize('mechanism', ['HT-SHA-256-EXPR', 'HT-SHA-256-ENDP', 'HT-SHA-256-NONE', 'HT-SHA-256-UNIQ'])
def test_live_after_one_flight(people, mechanism):
    """Once TLS stands the client sends once, and what it gets is a bound session with acknowledgements, and answers."""
    most = SSL.TLS1_2_VERSION if mechanism.endswith('UNIQ') else SSL.TLS1_3_VERSION
    first, token = give_token(people, 10, mechanism, most)
    first.close()
    client = Sasl2(people, most)
    success = client.fast('romeo', token, mechanism, agent(10),
                          f"<bind xmlns='{BIND2}'><tag>phone</tag><enable xmlns='{SM}' resume='true'/></bind>", " count='1'")
    assert local(success) == 'success' and client.flights == 1
    assert success.findtext(f'{{{S2}}}authorization-identifier').startswith('romeo@jackdaw.test/phone/')
    previd = success.find(f'{{{BIND2}}}bound/{{{SM}}}enabled').get('id')
    client.ping()
    client.close()
    # ... and goes on with the same session after the next
    again = Sasl2(people, most)
    success = again.fast('romeo', token, mechanism, agent(10),
                         f"<resume xmlns='{SM}' previd='{previd}' h='1'/>", " count='2'")
    assert local(success) == 'success' and again.flights == 1, condition(success)
    assert success.find(f'{{{SM}}}resumed').get('previd') == previd
    again.ping()
    again.close()


def test_token_is_bound_to_its_mechanism(people):
    client, token = give_token(people, 11, 'HT-SHA-256-EXPR')
    client.close()
    for mechanism in 'HT-SHA-256-NONE', 'HT-SHA-256-ENDP':
        client = Sasl2(people)
        assert condition(client.fast('romeo', token, mechanism, agent(11))) == 'not-authorized'
        client.close()


def test_token_of_another_channel(people):
    """What was sent over one TLS connection is worth nothing on another."""
    client, token = give_token(people, 12, 'HT-SHA-256-EXPR')
    message = client.opening('romeo') + client.fast_element('romeo', token, 'HT-SHA-256-EXPR', agent(12))
    client.close()
    thief = Sasl2(people)
    thief.send(message)
    assert local(thief.next()) == 'features'
    assert condition(thief.next()) == 'not-authorized'
    thief.close()


def test_devices(people):
    """They are listed and revoked while the server runs; what is revoked is cut off and cannot come back."""
    account = people.user('mercutio')
    people.command('user', 'devices', account)
    bind = f"<bind xmlns='{BIND2}'/>"
    telephone, token1 = give_token(people, 21, name='mercutio', more=bind)
    desk, token2 = give_token(people, 22, name='mercutio', more=bind)
    for client in telephone, desk:
        assert local(client.next()) == 'features'
        client.ping()
    listed = json.loads(people.command('user', 'devices', account, '--json').stdout)
    assert [d['id'][-2:] for d in listed] == ['22', '21']
    assert {d['software'] for d in listed} == {'Test'} and {d['device'] for d in listed} == {'Machine'}
    assert {d['address'] for d in listed} == {'127.0.0.1'}
    assert all(d['token_expires'] > d['last'] >= d['first'] > 0 for d in listed)
    text = people.command('user', 'devices', account).stdout
    assert len(text.splitlines()) == 2 and token1 not in text and token2 not in text
    done = people.command('user', 'devices', account, '--revoke', listed[1]['id'].upper())
    assert 'ended 1 session' in done.stderr
    assert telephone.stream_error() == ('not-authorized', None)
    desk.ping()
    client = Sasl2(people)
    assert condition(client.fast('mercutio', token1, 'HT-SHA-256-EXPR', agent(21))) == 'not-authorized'
    client.close()
    client = Sasl2(people)
    assert local(client.fast('mercutio', token2, 'HT-SHA-256-EXPR', agent(22))) == 'success'
    client.close()
    assert people.command('user', 'devices', account, '--revoke', listed[1]['id'], check=False).returncode == 1
    assert people.command('user', 'devices', account, '--revoke', 'phone', check=False).returncode == 1
    people.command('user', 'devices', account, '--revoke', 'all')
    assert desk.stream_error() == ('not-authorized', None)
    assert json.loads(people.command('user', 'devices', account, '--json').stdout) == []


def sleep(people, number, name):
    """A session that can be resumed; its stream breaks."""
    client, _ = give_token(people, number, name=name, more=f"<bind xmlns='{BIND2}'><enable xmlns='{SM}' resume='true'/></bind>")
    previd = client.success.find(f'{{{BIND2}}}bound/{{{SM}}}enabled').get('id')
    assert local(client.next()) == 'features'
    client.ping()
    client.close()
    return previd


def resume(people, name, previd):
    client = Sasl2(people)
    client.begin(name)
    success = client.scram(name, people.password, f"<resume xmlns='{SM}' previd='{previd}' h='1'/>")
    client.close()
    return success.find(f'{{{SM}}}resumed') is not None


def test_a_revoked_device_does_not_resume(people):
    """Streams that broke before are ended, too, of that client alone."""
    account = people.user('benvolio')
    telephone, desk = sleep(people, 51, 'benvolio'), sleep(people, 52, 'benvolio')
    listed = {d['id'][-2:]: d['id'] for d in json.loads(people.command('user', 'devices', account, '--json').stdout)}
    people.command('user', 'devices', account, '--revoke', listed['51'])
    assert not resume(people, 'benvolio', telephone)
    assert resume(people, 'benvolio', desk)
    people.command('user', 'devices', account, '--revoke', 'all')
    assert not resume(people, 'benvolio', desk)


def test_password_change_takes_tokens_and_sessions(people):
    account = people.user('tybalt')
    client, token = give_token(people, 31, name='tybalt', more=f"<bind xmlns='{BIND2}'/>")
    assert local(client.next()) == 'features'
    client.ping()
    people.command('user', 'passwd', account, '--password-stdin', stdin='another one\n')
    assert client.stream_error() == ('not-authorized', None)
    client = Sasl2(people)
    assert condition(client.fast('tybalt', token, 'HT-SHA-256-EXPR', agent(31))) == 'not-authorized'
    client.close()


def test_tokens_are_not_in_the_database(people):
    """Nothing that is on disk beside the secret of the installation is a token, or the key that one stands for."""
    client, token = give_token(people, 41, 'HT-SHA-256-NONE')
    client.close()
    needles = [token.encode(), base64.b64decode(token), hashlib.sha256(token.encode()).digest(),
               hmac.digest(token.encode(), b'Initiator', 'sha256')]
    people.command('backup', str(people.data / 'backup'))  # PostgreSQL's rows, too
    files = [f for f in people.data.rglob('*') if f.is_file() and f.name != 'sasl-secret']
    assert b'00000000-0000-4000-8000-000000000041' in (people.data / 'backup').read_bytes()
    for path in files:
        data = path.read_bytes()
        assert not [n for n in needles if n in data], path


@pytest.mark.parametrize('how', ['stopped', 'killed'])
def test_token_and_session_outlive_the_server(own_server, how):
    """A token that was given is on disk: kill -9 between its issue and its use changes nothing."""
    server = own_server().start()
    account = server.user('romeo')
    client, token = give_token(server, 51)
    if how == 'stopped':
        server.stop()
    else:
        for name in server.names:
            server.processes[name].kill()
        server.processes = {}
    listed = json.loads(server.command('user', 'devices', account, '--json').stdout)
    assert [d['id'] for d in listed] == ['00000000-0000-4000-8000-000000000051']
    server.start()
    client = Sasl2(server)
    success = client.fast('romeo', token, 'HT-SHA-256-EXPR', agent(51), f"<bind xmlns='{BIND2}'/>", " count='1'")
    assert local(success) == 'success' and client.flights == 1
    client.ping()
    for name in server.names:
        server.processes[name].kill()
    server.processes = {}
    # ... and so is the count of a login that was answered
    server.start()
    client = Sasl2(server)
    assert condition(client.fast('romeo', token, 'HT-SHA-256-EXPR', agent(51), attributes=" count='1'")) == 'not-authorized'
    client.close()
    server.stop()
    server.command('user', 'devices', account, '--revoke', 'all')
    server.start()
    client = Sasl2(server)
    assert condition(client.fast('romeo', token, 'HT-SHA-256-EXPR', agent(51), attributes=" count='2'")) == 'not-authorized'
    client.close()
    server.stop()
