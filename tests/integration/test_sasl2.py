"""XEP-0388 and what comes with it, over TLS, with the real server."""
import pytest
from OpenSSL import SSL

from raw import Raw, bodies, local
from sasl2 import BIND2, S2, SM, Sasl2, agent, condition

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
    client.send(client.header('romeo') +
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
