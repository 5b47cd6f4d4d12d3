"""The wire itself: one byte at a time, TLS as it must and must not be, mechanisms."""
import hashlib
import ssl

import pytest

from raw import NS, Raw, bodies, local


@pytest.fixture(scope='module')
def people(server):
    server.user('romeo')
    server.user('juliet')
    return server


def test_one_byte_at_a_time(people):
    juliet = people.client('juliet')
    juliet.send('<presence/>')
    juliet.ping()
    romeo = Raw(people.port, people.domain, people.ca)
    romeo.step = 1
    romeo.login('romeo', people.password, 'slow')
    romeo.send("<presence/><message to='juliet@jackdaw.test' type='chat'><body>\u00fc\u4f60 &amp; &#x41;</body></message>")
    romeo.ping()
    got = juliet.wait_for('message')
    assert got.findtext('c:body', namespaces=NS) == '\u00fc\u4f60 & A'
    assert got.get('from') == 'romeo@jackdaw.test/slow'
    romeo.end()
    juliet.end()


def test_everything_in_one_write(people):
    """A client may pipeline behind SASL success and behind binding."""
    romeo = Raw(people.port, people.domain, people.ca)
    romeo.open()
    romeo.starttls()
    romeo.open()
    assert local(romeo.auth_scram('romeo', people.password)) == 'success'
    romeo.restart()
    romeo.send("<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' "
               "to='jackdaw.test' version='1.0'><iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>")
    assert local(romeo.next()) == 'features'
    assert romeo.next().get('type') == 'result'
    romeo.send('<presence/>' + ''.join(
        f"<message to='romeo@jackdaw.test' type='chat' id='{i}'><body>{i}</body></message>" for i in range(200)))
    got = []
    while len(got) < 200:
        got += bodies([romeo.wait_for('message')])
    assert got == [str(i) for i in range(200)]
    romeo.end()


@pytest.mark.parametrize('mechanism', ['SCRAM-SHA-1', 'SCRAM-SHA-256', 'SCRAM-SHA-512', 'PLAIN'])
def test_mechanism(people, mechanism):
    client = Raw(people.port, people.domain, people.ca)
    client.login('romeo', people.password, mechanism=mechanism)
    client.ping()
    client.end()


def test_tls_is_required(people):
    client = Raw(people.port, people.domain)
    features = client.open()
    assert features.find('tls:starttls', NS) is not None
    assert client.mechanisms(features) == []
    assert local(client.auth_plain('romeo', people.password)) == 'failure'
    client.close()


def test_direct_tls_with_alpn(people):
    context = ssl.create_default_context(cafile=people.ca)
    context.set_alpn_protocols(['xmpp-client'])
    client = Raw(people.tls_port, people.domain, direct_tls=True, context=context)
    assert client.sock.selected_alpn_protocol() == 'xmpp-client'
    features = client.open()
    assert 'SCRAM-SHA-256' in client.mechanisms(features)
    assert 'SCRAM-SHA-256-PLUS' in client.mechanisms(features)
    assert features.find('tls:starttls', NS) is None
    client.close()


def test_foreign_alpn_is_refused(people):
    context = ssl.create_default_context(cafile=people.ca)
    context.set_alpn_protocols(['http/1.1'])
    with pytest.raises((ssl.SSLError, ConnectionError)):
        Raw(people.tls_port, people.domain, direct_tls=True, context=context).open()


def test_tls_1_1_is_refused(people):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers('ALL:@SECLEVEL=0')
    with pytest.raises((ssl.SSLError, ConnectionError)):
        Raw(people.tls_port, people.domain, direct_tls=True, context=context)


def test_tls_1_2_works(people):
    context = ssl.create_default_context(cafile=people.ca)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    client = Raw(people.tls_port, people.domain, direct_tls=True, context=context)
    assert client.sock.version() == 'TLSv1.2'
    client.open()
    assert local(client.auth_scram('romeo', people.password)) == 'success'
    client.close()


def test_channel_binding_to_the_certificate(people):
    """SCRAM-SHA-256-PLUS with tls-server-end-point (RFC 5929): Python has no exporter."""
    client = Raw(people.port, people.domain, people.ca)
    client.open()
    client.starttls()
    features = client.open()
    assert 'SCRAM-SHA-256-PLUS' in client.mechanisms(features)
    binding = hashlib.sha256(client.sock.getpeercert(True)).digest()
    header = b'p=tls-server-end-point,,'
    # the gs2 header goes in front of client-first, header and binding data into c=
    assert local(scram_plus(client, 'romeo', people.password, header, binding)) == 'success'
    client.close()


def test_wrong_channel_binding_is_refused(people):
    client = Raw(people.port, people.domain, people.ca)
    client.open()
    client.starttls()
    client.open()
    answer = scram_plus(client, 'romeo', people.password, b'p=tls-server-end-point,,', b'\0' * 32)
    assert local(answer) == 'failure' and answer.find('sasl:not-authorized', NS) is not None
    client.close()


def scram_plus(client, name, password, header, binding):
    import base64
    import hmac
    first = f'n={name},r=fyko+d2lbbFgONRv9qkxdawL'
    client.send(f"<auth xmlns='{NS['sasl']}' mechanism='SCRAM-SHA-256-PLUS'>"
                f"{base64.b64encode(header + first.encode()).decode()}</auth>")
    challenge = base64.b64decode(client.next().text).decode()
    parts = dict(p.split('=', 1) for p in challenge.split(','))
    salted = hashlib.pbkdf2_hmac('sha256', password.encode(), base64.b64decode(parts['s']), int(parts['i']))
    final = f"c={base64.b64encode(header + binding).decode()},r={parts['r']}"
    key = hmac.digest(salted, b'Client Key', 'sha256')
    signature = hmac.digest(hashlib.sha256(key).digest(), f'{first},{challenge},{final}'.encode(), 'sha256')
    proof = base64.b64encode(bytes(a ^ b for a, b in zip(key, signature))).decode()
    client.send(f"<response xmlns='{NS['sasl']}'>{base64.b64encode(f'{final},p={proof}'.encode()).decode()}</response>")
    return client.next()
