"""A client that sends bytes: it can log in as it should, and send anything it should not."""
import base64
import hashlib
import hmac
import os
import re
import socket
import ssl
import time
import xml.etree.ElementTree as ET

STREAM = 'http://etherx.jabber.org/streams'
NS = {'c': 'jabber:client', 's': STREAM, 'sasl': 'urn:ietf:params:xml:ns:xmpp-sasl', 'tls': 'urn:ietf:params:xml:ns:xmpp-tls',
      'bind': 'urn:ietf:params:xml:ns:xmpp-bind', 'se': 'urn:ietf:params:xml:ns:xmpp-streams',
      'st': 'urn:ietf:params:xml:ns:xmpp-stanzas', 'r': 'jabber:iq:roster', 'reg': 'jabber:iq:register'}
WAIT = float(os.environ.get('JACKDAW_TEST_WAIT', '60'))


class Closed(Exception):
    """The server closed the connection (or the stream ended) while something was awaited."""


def local(element):
    return element.tag.split('}')[-1]


class Raw:
    """Blocking; every wait is bounded. `elements` are what came and was not looked at yet."""

    def __init__(self, port, domain, ca=None, direct_tls=False, alpn=None, context=None, source=None, ip='127.0.0.1'):
        self.domain = domain
        self.ca = ca
        self.sock = socket.create_connection((ip, port), WAIT, (source, 0) if source else None)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received = b''  # everything, for assertions on bytes
        self.ended = self.closed = False
        self.step = None  # bytes per send; None: all at once
        if direct_tls:
            self.wrap(alpn, context)
        self.restart()

    def restart(self):
        self.parser = ET.XMLPullParser(['start', 'end'])
        self.depth = 0
        self.header = None
        self.elements = []

    # ---- bytes ----

    def send(self, data):
        if isinstance(data, str):
            data = data.encode()
        if self.step is None:
            self.sock.sendall(data)
        else:
            for i in range(0, len(data), self.step):
                self.sock.sendall(data[i:i + self.step])

    def wrap(self, alpn=None, context=None):
        if context is None:
            context = ssl.create_default_context(cafile=self.ca)
        if alpn:
            context.set_alpn_protocols(alpn)
        self.sock = context.wrap_socket(self.sock, server_hostname=self.domain)

    def close(self):
        self.sock.close()

    def _read(self, seconds):
        self.sock.settimeout(max(seconds, 0.001))
        try:
            data = self.sock.recv(65536)
        except (socket.timeout, ssl.SSLWantReadError):
            return False
        except (ConnectionError, ssl.SSLError):
            data = b''
        if not data:
            self.closed = True
            return False
        self.received += data
        self._feed(data)
        return True

    def _feed(self, data):
        self.parser.feed(data)
        for event, element in self.parser.read_events():
            if event == 'start':
                self.depth += 1
                if self.depth == 1:
                    self.header = element
            else:
                self.depth -= 1
                if self.depth == 1:
                    self.elements.append(element)
                elif self.depth == 0:
                    self.ended = True

    # ---- elements ----

    def next(self, seconds=None):
        """The next first-level element. Closed when there can be none, TimeoutError when none comes."""
        until = time.monotonic() + (WAIT if seconds is None else seconds)
        while not self.elements:
            if self.ended or self.closed:
                raise Closed(self.received[-500:].decode(errors='replace'))
            left = until - time.monotonic()
            if left <= 0:
                raise TimeoutError('nothing came; last: ' + self.received[-300:].decode(errors='replace'))
            self._read(left)
        return self.elements.pop(0)

    def wait_for(self, name, seconds=None, **attributes):
        """The next element of that name with these attributes; others are dropped."""
        until = time.monotonic() + (WAIT if seconds is None else seconds)
        while True:
            element = self.next(until - time.monotonic())
            if local(element) == name and all(element.get(k.rstrip('_')) == v for k, v in attributes.items()):
                return element

    def nothing(self, seconds=0.3):
        """Whatever comes in that time, as text."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and not self.closed:
            self._read(until - time.monotonic())
        taken, self.elements = self.elements, []
        return ''.join(ET.tostring(e, encoding='unicode') for e in taken)

    def stream_error(self, seconds=None):
        """Waits for the end; returns (condition or None, application condition or None), having seen the close."""
        condition = application = None
        until = time.monotonic() + (WAIT if seconds is None else seconds)
        while not self.closed and time.monotonic() < until:
            self._read(until - time.monotonic())
        assert self.closed, 'the connection stays open; last: ' + self.received[-300:].decode(errors='replace')
        for element in self.elements:
            if element.tag == f'{{{STREAM}}}error':
                for child in element:
                    if child.tag.startswith('{' + NS['se']) and local(child) != 'text':
                        condition = local(child)
                    elif not child.tag.startswith('{' + NS['se']):
                        application = local(child)
        return condition, application

    # ---- the way in ----

    def open(self, to=None, version='1.0', more=''):
        """Sends the header; returns the features."""
        self.restart()
        version = f" version='{version}'" if version else ''
        self.send(f"<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='{STREAM}'"
                  f" to='{to or self.domain}'{version}{more}>")
        features = self.next()
        assert features.tag == f'{{{STREAM}}}features', ET.tostring(features)
        return features

    def starttls(self):
        self.send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
        assert local(self.next()) == 'proceed'
        self.wrap()

    def mechanisms(self, features):
        return [m.text for m in features.findall('sasl:mechanisms/sasl:mechanism', NS)]

    def auth_plain(self, name, password):
        token = base64.b64encode(f'\0{name}\0{password}'.encode()).decode()
        self.send(f"<auth xmlns='{NS['sasl']}' mechanism='PLAIN'>{token}</auth>")
        return self.next()

    def auth_scram(self, name, password, mechanism='SCRAM-SHA-256', binding=b'n,,'):
        """Plain SCRAM; returns <success/> (its signature checked) or <failure/>."""
        algorithm = {'1': 'sha1', '256': 'sha256', '512': 'sha512'}[mechanism.split('-')[2]]
        nonce = base64.b64encode(os.urandom(18)).decode()
        first = f'n={name},r={nonce}'
        self.send(f"<auth xmlns='{NS['sasl']}' mechanism='{mechanism}'>"
                  f"{base64.b64encode(binding + first.encode()).decode()}</auth>")
        challenge = self.next()
        if local(challenge) != 'challenge':
            return challenge
        text = base64.b64decode(challenge.text).decode()
        parts = dict(p.split('=', 1) for p in text.split(','))
        assert parts['r'].startswith(nonce) and len(parts['r']) > len(nonce) + 16
        salted = hashlib.pbkdf2_hmac(algorithm, password.encode(), base64.b64decode(parts['s']), int(parts['i']))
        final = f"c={base64.b64encode(binding).decode()},r={parts['r']}"
        message = f'{first},{text},{final}'.encode()
        client_key = hmac.digest(salted, b'Client Key', algorithm)
        signature = hmac.digest(hashlib.new(algorithm, client_key).digest(), message, algorithm)
        proof = base64.b64encode(bytes(a ^ b for a, b in zip(client_key, signature))).decode()
        self.send(f"<response xmlns='{NS['sasl']}'>{base64.b64encode(f'{final},p={proof}'.encode()).decode()}</response>")
        answer = self.next()
        if local(answer) == 'success':
            server_key = hmac.digest(salted, b'Server Key', algorithm)
            expected = base64.b64encode(hmac.digest(server_key, message, algorithm)).decode()
            assert base64.b64decode(answer.text).decode() == 'v=' + expected, 'the server does not know the password'
        return answer

    def bind(self, resource):
        self.send(f"<iq type='set' id='bind'><bind xmlns='{NS['bind']}'><resource>{resource}</resource></bind></iq>")
        answer = self.next()
        assert answer.get('type') == 'result', ET.tostring(answer)
        self.jid = answer.find('bind:bind/bind:jid', NS).text
        return self.jid

    def authenticate(self, name, password, tls=True, mechanism='SCRAM-SHA-256'):
        """Everything before bind."""
        self.open()
        if tls:
            self.starttls()
            self.open()
        answer = self.auth_plain(name, password) if mechanism == 'PLAIN' else self.auth_scram(name, password, mechanism)
        assert local(answer) == 'success', ET.tostring(answer)
        self.open()
        return self

    def login(self, name, password, resource='test', tls=True, mechanism='SCRAM-SHA-256'):
        self.authenticate(name, password, tls, mechanism)
        return self.bind(resource)

    def ping(self, seconds=None):
        """A round trip through the session manager: everything sent before has been handled."""
        self.count = getattr(self, 'count', 0) + 1
        self.send(f"<iq type='get' id='ping{self.count}' to='{self.domain}'><ping xmlns='urn:xmpp:ping'/></iq>")
        kept = []
        until = time.monotonic() + (WAIT if seconds is None else seconds)
        while True:
            element = self.next(until - time.monotonic())
            if local(element) == 'iq' and element.get('id') == f'ping{self.count}':
                assert element.get('type') == 'result', ET.tostring(element)
                self.elements = kept + self.elements
                return
            kept.append(element)

    def end(self):
        """Closes the stream in order; the server must do the same."""
        self.send('</stream:stream>')
        until = time.monotonic() + WAIT
        while not self.ended and not self.closed and time.monotonic() < until:
            self._read(until - time.monotonic())
        assert self.ended, 'no </stream:stream> in answer'
        self.close()


def bodies(elements):
    return [e.findtext('c:body', namespaces=NS) for e in elements if local(e) == 'message']


def escape(text):
    return re.sub(r'[&<>"\']', lambda m: f'&#{ord(m[0])};', text)
