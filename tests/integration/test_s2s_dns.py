"""Federation found by real DNS: SRV records in a signed zone, and DANE in place of an authority (RFC 7673)."""
import hashlib
import subprocess

import pytest

import dns_world
from raw import NS
from test_s2s import PLACEMENTS, Peer, body, message  # noqa: F401


def key_hash(server):
    """TLSA 3 1 1 of the certificate that a server made for itself."""
    pem = server.data / 'certificates' / f'{server.domain}.pem'
    der = subprocess.run(f'openssl x509 -in {pem} -pubkey -noout | openssl pkey -pubin -outform DER', shell=True,
                         check=True, capture_output=True).stdout
    return hashlib.sha256(der).hexdigest()


@pytest.mark.parametrize('true_record', [True, False])
def test_dane_in_place_of_an_authority(true_record, placement, monkeypatch):
    b = Peer('b.jd', '127.0.3.4', None, ['s2s.require_certificate=false'])
    a = Peer('a.jd', '127.0.3.3', None, ['s2s.queue_time=8'])
    b.know('a.jd', a.ip, a.s2s_port)
    world = None
    try:
        b.start()
        zone = (f'_xmpp-server._tcp.b SRV 0 0 {b.s2s_port} h.b\nh.b A {b.ip}\n'
                f"_{b.s2s_port}._tcp.h.b TLSA 3 1 1 {key_hash(b) if true_record else '00' * 32}\n")
        monkeypatch.setitem(dns_world.ZONES, 'jd.', dns_world.ZONES['jd.'] + zone)
        world = dns_world.World()
        a.settings = [s for s in a.settings if not s.startswith('resolver.')]
        a.settings += [f'resolver.forwarders={world.forwarder}', f'resolver.trust_anchor={world.anchor}']
        a.start()
        a.user('romeo'), b.user('juliet')
        romeo, juliet = a.client('romeo'), b.client('juliet')
        for c in (romeo, juliet):
            c.send('<presence/>')
            c.ping()
        romeo.send(message(juliet.jid, 'by name'))
        if true_record:
            try:
                assert body(juliet.wait_for('message', 15)) == 'by name'
            except TimeoutError:
                raise AssertionError(a.of('s2s').text())
        else:
            error = romeo.wait_for('message', 20, type='error')
            assert 'certificate' in error.find('c:error/st:text', NS).text
        romeo.send(message('nobody@nowhere-at-all.jd', 'to nowhere', 'm2'))
        error = romeo.wait_for('message', 15, type='error', id='m2')
        assert error.find('c:error/st:remote-server-not-found', NS) is not None
        a.stop(), b.stop()
    finally:
        if world:
            world.close()
        a.remove(), b.remove()
