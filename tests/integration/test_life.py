"""The life of the server: draining, reloading, being killed."""
import hashlib
import signal
import socket
import ssl
import subprocess
import time

import pytest

from conftest import JACKDAW
from raw import NS, WAIT, Closed, Raw, bodies, local

THREADS = True


def fingerprint(server):
    client = Raw(server.port, server.domain, server.ca)
    client.open()
    client.starttls()
    print(client.sock.version())
    digest = hashlib.sha256(client.sock.getpeercert(True)).hexdigest()
    client.close()
    return digest


def test_sigterm_drains_and_ends_with_0(own_server):
    server = own_server().start()
    server.user('romeo')
    server.user('juliet')
    clients = [server.client('romeo', f'r{i}') for i in range(3)] + [server.client('juliet')]
    for client in clients:
        client.send('<presence/>')
        client.ping()
    clients[0].send("<message to='juliet@jackdaw.test/test' type='chat'><body>last words</body></message>")
    assert clients[-1].wait_for('message').findtext('c:body', namespaces=NS) == 'last words'
    server.stop()  # every exit code must be 0
    for client in clients:
        assert client.stream_error()[0] == 'system-shutdown'


def test_what_was_acknowledged_survives_kill_9(own_server):
    server = own_server().start()
    server.user('romeo')
    server.user('juliet')
    romeo = server.client('romeo')
    romeo.send("<iq type='set' id='r'><query xmlns='jabber:iq:roster'><item jid='juliet@jackdaw.test' name='J'/></query></iq>")
    while romeo.wait_for('iq').get('id') != 'r':
        pass
    for name in server.names:
        server.processes[name].kill()
    server.start()
    romeo = server.client('romeo')
    romeo.send("<iq type='get' id='g'><query xmlns='jabber:iq:roster'/></iq>")
    items = romeo.wait_for('iq', id='g').findall('r:query/r:item', NS)
    assert [(i.get('jid'), i.get('name')) for i in items] == [('juliet@jackdaw.test', 'J')]
    romeo.end()
    server.stop()


def test_offline_messages_survive_a_restart_in_order(own_server):
    server = own_server().start()
    server.user('romeo')
    server.user('juliet')
    romeo = server.client('romeo')
    for i in range(100):
        romeo.send(f"<message to='juliet@jackdaw.test' type='chat'><body>{i}</body></message>")
    romeo.ping()
    romeo.end()
    server.stop()
    server.start()
    juliet = server.client('juliet')
    juliet.send('<presence/>')
    got = []
    while len(got) < 100:
        got += bodies([juliet.wait_for('message')])
    assert got == [str(i) for i in range(100)]
    juliet.end()
    again = server.client('juliet')
    again.send('<presence/>')
    again.ping()
    assert bodies(again.elements) == []
    again.end()
    server.stop()


def make_certificate(server, days=90):
    """A new certificate of the server's own CA for its domain, over the old one."""
    directory = server.data / 'certificates'
    key, cert, request = directory / f'{server.domain}-key.pem', directory / f'{server.domain}.pem', server.data / 'r.csr'
    extension = server.data / 'san.cnf'
    extension.write_text(f'subjectAltName=DNS:{server.domain}\n')
    subprocess.run(['openssl', 'req', '-new', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj',
                    f'/CN={server.domain}', '-keyout', key, '-out', request], check=True, capture_output=True)
    subprocess.run(['openssl', 'x509', '-req', '-in', request, '-CA', directory / 'ca.pem', '-CAkey', directory / 'ca-key.pem',
                    '-CAcreateserial', '-days', str(days), '-extfile', extension, '-out', cert],
                   check=True, capture_output=True)


def wait_until(condition, seconds=WAIT):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, 'it does not come to pass'
        time.sleep(0.1)


def test_sighup_takes_a_new_certificate(own_server):
    server = own_server().start()
    server.user('romeo')
    romeo = server.client('romeo')
    old = fingerprint(server)
    make_certificate(server)
    assert fingerprint(server) == old
    server.of('c2s').signal(signal.SIGHUP)
    wait_until(lambda: fingerprint(server) != old)
    romeo.ping()  # who was there keeps what they had
    romeo.end()
    server.stop()


def test_sighup_with_a_broken_certificate_keeps_the_old_one(own_server):
    server = own_server().start()
    old = fingerprint(server)
    (server.data / 'certificates' / f'{server.domain}.pem').write_text('nonsense\n')
    server.of('c2s').signal(signal.SIGHUP)
    wait_until(lambda: f'{server.domain}.pem' in server.of('c2s').text())
    assert fingerprint(server) == old
    server.stop()


def test_a_second_server_on_the_same_data_refuses(own_server):
    server = own_server().start()
    second = subprocess.run([JACKDAW, 'serve', *server.options(['c2s.port=0', 'c2s.tls_port=0', 'router.port=0'])],
                            capture_output=True, text=True, timeout=WAIT)
    assert second.returncode == 1
    assert str(server.data) in second.stderr
    server.stop()


def test_a_port_in_use_is_said(own_server):
    server = own_server()
    with socket.socket() as taken:
        taken.bind(('127.0.0.1', server.port))
        taken.listen()
        done = subprocess.run([JACKDAW, 'serve', *server.options()], capture_output=True, text=True, timeout=WAIT)
    assert done.returncode == 1
    assert str(server.port) in done.stderr


def test_silence_before_login_is_ended(own_server):
    server = own_server('c2s.preauth_time=5').start()
    silent = socket.create_connection(('127.0.0.1', server.port))
    talking = Raw(server.port, server.domain, server.ca)
    talking.open()
    for _ in range(150):  # no input extends the time
        if talking.closed:
            break
        try:
            talking.send(' ')
        except OSError:
            break
        talking.nothing(0.2)
    assert talking.closed
    silent.settimeout(5)
    while silent.recv(4096):
        pass
    server.stop()


def test_stored_messages_larger_than_the_queue_all_arrive(own_server):
    """40 messages of 60 KB are more than c2s.max_queue; who reads them is not taken for slow."""
    server = own_server('c2s.rate=0').start()
    server.user('romeo')
    server.user('juliet')
    romeo = server.client('romeo')
    for i in range(40):
        romeo.send(f"<message to='juliet@jackdaw.test' type='chat' id='{i}'><body>{'x' * 60000}</body></message>")
    romeo.ping()
    juliet = server.client('juliet')
    juliet.send('<presence/>')
    assert [juliet.wait_for('message').get('id') for _ in range(40)] == [str(i) for i in range(40)]
    server.stop()
