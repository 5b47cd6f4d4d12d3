"""A client of XEP-0388 in bytes, with TLS by pyOpenSSL: Python's own ssl module exports no keying material (RFC 9266).

No Debian 12 client speaks it (slixmpp 1.8.3, nbxmpp 4.2.2, Dino 0.4.2 and profanity 0.13.1 were looked at)."""
import base64
import hashlib
import hmac
import os
import select
import time

from OpenSSL import SSL

from raw import STREAM, Raw, local

S2 = 'urn:xmpp:sasl:2'
SM = 'urn:xmpp:sm:3'
BIND2 = 'urn:xmpp:bind:0'
FAST = 'urn:xmpp:fast:0'
CB = 'urn:xmpp:sasl-cb:0'


def b64(data):
    return base64.b64encode(data).decode()


class Tls:
    """What Raw needs of a socket, over an OpenSSL connection."""

    def __init__(self, sock, ca, domain, most=SSL.TLS1_3_VERSION):
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        context.load_verify_locations(ca)
        context.set_verify(SSL.VERIFY_PEER, lambda *a: a[4] == 1)
        context.set_max_proto_version(most)
        self.sock, self.seconds = sock, 10
        self.ssl = SSL.Connection(context, sock)
        self.ssl.set_tlsext_host_name(domain.encode())
        self.ssl.set_connect_state()
        self.again(self.ssl.do_handshake)

    def again(self, call, *arguments):
        until = time.monotonic() + self.seconds
        while True:
            try:
                return call(*arguments)
            except SSL.WantReadError:
                if not select.select([self.sock], [], [], max(until - time.monotonic(), 0))[0]:
                    raise TimeoutError from None
            except (SSL.ZeroReturnError, SSL.SysCallError, SSL.Error):
                return b''

    def settimeout(self, seconds):
        self.seconds = seconds
        self.sock.settimeout(None)
        self.sock.setblocking(False)

    def recv(self, size):
        return self.again(self.ssl.recv, size)

    def sendall(self, data):
        self.sock.setblocking(True)
        self.ssl.sendall(data)

    def close(self):
        self.sock.close()

    def exporter(self):
        return self.ssl.export_keying_material(b'EXPORTER-Channel-Binding', 32, b'')

    def end_point(self):
        return bytes.fromhex(self.ssl.get_peer_certificate().digest('sha256').decode().replace(':', ''))

    def unique(self):
        return self.ssl.get_finished()


class Sasl2(Raw):
    """`flights`: how often it has sent and then waited, since TLS."""

    def __init__(self, server, most=SSL.TLS1_3_VERSION):
        super().__init__(server.port, server.domain, server.ca)
        self.most = most
        self.flights = 0
        self.open()
        self.starttls()
        self.flights = 0
        self.restart()

    def wrap(self, alpn=None, context=None):
        self.sock = Tls(self.sock, self.ca, self.domain, self.most)

    def send(self, data):
        super().send(data)
        self.flights += 1

    def opening(self, name=None):
        who = f" from='{name}@{self.domain}'" if name else ''
        return (f"<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='{STREAM}'"
                f" to='{self.domain}' version='1.0'{who}>")

    def begin(self, name=None):
        """The header; returns the features."""
        self.send(self.opening(name))
        self.features = self.next()
        return self.features

    def offered(self):
        return [m.text for m in self.features.findall(f'{{{S2}}}authentication/{{{S2}}}mechanism')]

    def ssdp(self, algorithm):
        """XEP-0474 section 6.1, from what was announced."""
        text = '\x1e'.join(sorted(self.offered()))
        types = [t.get('type') for t in self.features.findall(f'{{{CB}}}sasl-channel-binding/{{{CB}}}channel-binding')]
        if types:
            text += '\x1f' + '\x1e'.join(sorted(types))
        return b64(hashlib.new(algorithm, text.encode()).digest())

    def scram(self, name, password, more='', mechanism='SCRAM-SHA-256', binding=None, on_way=None):
        """Up to <success/>, <continue/> or <failure/>; the server's proof is checked. `binding`: (type, data); `on_way`: what
        somebody between the two makes of the challenge."""
        algorithm = {'1': 'sha1', '256': 'sha256', '512': 'sha512'}[mechanism.split('-')[2]]
        gs2 = f'p={binding[0]},,'.encode() if binding else b'n,,'
        nonce = b64(os.urandom(18))
        first = f'n={name},r={nonce}'
        self.send(f"<authenticate xmlns='{S2}' mechanism='{mechanism}'><initial-response>{b64(gs2 + first.encode())}"
                  f"</initial-response>{more}</authenticate>")
        challenge = self.next()
        if local(challenge) != 'challenge':
            return challenge
        text = base64.b64decode(challenge.text).decode()
        parts = dict(p.split('=', 1) for p in text.split(','))
        if on_way:
            parts = on_way(parts)
            text = ','.join('='.join(p) for p in parts.items())
        assert parts['r'].startswith(nonce) and len(parts['r']) > len(nonce) + 16
        assert parts['h'] == self.ssdp(algorithm), 'XEP-0474: the announcement was changed on its way'
        salted = hashlib.pbkdf2_hmac(algorithm, password.encode(), base64.b64decode(parts['s']), int(parts['i']))
        final = f"c={b64(gs2 + (binding[1] if binding else b''))},r={parts['r']}"
        message = f'{first},{text},{final}'.encode()
        key = hmac.digest(salted, b'Client Key', algorithm)
        signature = hmac.digest(hashlib.new(algorithm, key).digest(), message, algorithm)
        proof = b64(bytes(a ^ b for a, b in zip(key, signature)))
        self.send(f"<response xmlns='{S2}'>{b64(f'{final},p={proof}'.encode())}</response>")
        answer = self.next()
        if local(answer) in ('success', 'continue'):
            expected = b64(hmac.digest(hmac.digest(salted, b'Server Key', algorithm), message, algorithm))
            got = base64.b64decode(answer.findtext(f'{{{S2}}}additional-data')).decode()
            assert got == 'v=' + expected, 'the server does not know the password'
        return answer

    # ---- XEP-0484 ----

    def binding_data(self, mechanism):
        return {'NONE': lambda: b'', 'EXPR': self.sock.exporter, 'ENDP': self.sock.end_point,
                'UNIQ': self.sock.unique}[mechanism.split('-')[-1]]()

    def fast_element(self, name, token, mechanism, agent, more='', attributes=''):
        mac = hmac.digest(token.encode(), b'Initiator' + self.binding_data(mechanism), 'sha256')
        return (f"<authenticate xmlns='{S2}' mechanism='{mechanism}'>"
                f"<initial-response>{b64(name.encode() + bytes(1) + mac)}</initial-response>"
                f"{agent}<fast xmlns='{FAST}'{attributes}/>{more}</authenticate>")

    def fast(self, name, token, mechanism, agent, more='', attributes=''):
        """One flight: the header and everything that is asked for. Returns <success/> or <failure/>."""
        self.send(self.opening(name) + self.fast_element(name, token, mechanism, agent, more, attributes))
        self.features = self.next()
        answer = self.next()
        if local(answer) == 'success':
            expected = hmac.digest(token.encode(), b'Responder' + self.binding_data(mechanism), 'sha256')
            assert base64.b64decode(answer.findtext(f'{{{S2}}}additional-data')) == expected, \
                'the server does not know the token'
        return answer


def agent(number, software='Test', device='Machine'):
    return (f"<user-agent xmlns='{S2}' id='00000000-0000-4000-8000-{number:012d}'><software>{software}</software>"
            f"<device>{device}</device></user-agent>")


def condition(failure):
    assert local(failure) == 'failure'
    return local(failure[0])
