"""Federation found by real DNS: SRV records in a signed zone, and DANE in place of an authority (RFC 7673)."""
import hashlib
import subprocess

import pytest

import dns_world
from raw import NS, WAIT
from test_s2s import PLACEMENTS, Peer, body, message  # noqa: F401


def key_hash(server):
    """TLSA 3 1 1 of the certificate that a server made for itself."""
    pem = server.data / 'certificates' / f'{server.domain}.pem'
    der = subprocess.run(f'openssl x509 -in {pem} -pubkey -noout | openssl pkey -pubin -outform DER', shell=True,
                         check=True, capture_output=True).stdout
    return hashlib.sha256(der).hexdigest()


class SignedWorld:
    """a.jd and b.jd, each with a certificate of its own making; what the signed zone says of b's is true or not."""

    def __init__(self, monkeypatch, true_record, settings=()):
        self.world = None
        self.b = Peer('b.jd', '127.0.3.4', None, ['s2s.require_certificate=false', *settings])
        self.a = Peer('a.jd', '127.0.3.3', None, ['s2s.queue_time=8', *settings])
        self.b.know('a.jd', self.a.ip, self.a.s2s_port)
        try:
            self.b.start()
            zone = (f'_xmpp-server._tcp.b SRV 0 0 {self.b.s2s_port} h.b\nh.b A {self.b.ip}\n'
                    f"_{self.b.s2s_port}._tcp.h.b TLSA 3 1 1 {key_hash(self.b) if true_record else '00' * 32}\n")
            monkeypatch.setitem(dns_world.ZONES, 'jd.', dns_world.ZONES['jd.'] + zone)
            self.world = dns_world.World()
            self.a.settings = [s for s in self.a.settings if not s.startswith('resolver.')]
            self.a.settings += [f'resolver.forwarders={self.world.forwarder}',
                                f'resolver.trust_anchor={self.world.anchor}']
            self.a.start()
            self.a.user('romeo'), self.b.user('juliet')
            self.romeo, self.juliet = self.a.client('romeo'), self.b.client('juliet')
            for c in (self.romeo, self.juliet):
                c.send('<presence/>')
                c.ping()
        except BaseException:
            self.close()
            raise

    def close(self):
        if self.world:
            self.world.close()
        self.a.remove(), self.b.remove()


@pytest.fixture
def signed(monkeypatch):
    made = []

    def make(true_record, settings=()):
        made.append(SignedWorld(monkeypatch, true_record, settings))
        return made[-1]
    yield make
    for w in made:
        w.close()


@pytest.mark.parametrize('true_record', [True, False])
def test_dane_in_place_of_an_authority(true_record, placement, signed):
    w = signed(true_record)
    w.romeo.send(message(w.juliet.jid, 'by name'))
    if true_record:
        try:
            assert body(w.juliet.wait_for('message', WAIT)) == 'by name'
        except TimeoutError:
            raise AssertionError(w.a.of('s2s').text())
    else:
        error = w.romeo.wait_for('message', WAIT, type='error')
        assert 'certificate' in error.find('c:error/st:text', NS).text
    w.romeo.send(message('nobody@nowhere-at-all.jd', 'to nowhere', 'm2'))
    error = w.romeo.wait_for('message', WAIT, type='error', id='m2')
    assert error.find('c:error/st:remote-server-not-found', NS) is not None
    w.a.stop(), w.b.stop()


@pytest.mark.parametrize('true_record', [True, False])
def test_dane_for_who_connects(true_record, placement, signed):
    """b connects to a, which demands certificates: b's is no authority's, but the one that DNS names."""
    w = signed(true_record, ['s2s.bidi=false', 's2s.queue_time=8'])
    w.juliet.send(message(w.romeo.jid, 'it is I'))
    if true_record:
        try:
            assert body(w.romeo.wait_for('message', WAIT)) == 'it is I'
        except TimeoutError:
            raise AssertionError(w.a.of('s2s').text())
        assert [c['certificate'] for c in w.a.listing()['incoming']] == [True]
    else:
        assert w.juliet.wait_for('message', WAIT, type='error') is not None
        assert 'it is I' not in w.romeo.nothing()
    w.a.stop(), w.b.stop()
