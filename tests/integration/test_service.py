"""What the service manager hears (sd_notify(3)), and several of one component on one data directory."""
import re
import signal
import socket
import ssl
import time

import pytest

from conftest import Process, Server, free_port
from raw import WAIT, Raw


class Manager:
    """systemd's end of NOTIFY_SOCKET."""

    def __init__(self, folder, monkeypatch):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(folder / 'notify'))
        self.socket.settimeout(30)
        monkeypatch.setenv('NOTIFY_SOCKET', str(folder / 'notify'))
        monkeypatch.setenv('WATCHDOG_USEC', '300000')

    def until(self, wanted):
        """Everything that comes before it; the watchdog's own left out."""
        before = []
        while True:
            message = self.socket.recv(4096).decode().split('\n')
            if wanted in message:
                return before, message
            if message != ['WATCHDOG=1']:
                before.append(message)


@pytest.mark.parametrize('how', ['inline', 'threads', 'processes'])
def test_notify(tmp_path, monkeypatch, how):
    manager = Manager(tmp_path, monkeypatch)
    server = Server('inline', [f'server.placement={how}'])
    try:
        serve = Process(['serve', *server.options()])
        server.processes['serve'] = serve
        before, ready = manager.until('READY=1')
        assert not before and any(part.startswith('STATUS=') for part in ready)
        for _ in range(3):
            manager.until('WATCHDOG=1')
        if how != 'processes':  # there `jackdaw reload` does it, and the supervisor goes on
            serve.signal(signal.SIGHUP)
            assert manager.until('RELOADING=1')[0] == []
            assert manager.until('READY=1')[0] == []
        serve.signal(signal.SIGTERM)
        assert manager.until('STOPPING=1')[0] == []
        assert serve.terminate() == 0
    finally:
        server.remove()


def seccomp_of(process):
    status = open(f'/proc/{process.popen.pid}/status').read()
    return int(re.search(r'^Seccomp:\s+(\d)', status, re.M)[1])


def test_every_process_is_in_its_sandbox(server):
    """In a build for a sanitizer, which looks into its own process, it says that it is not."""
    for name, process in server.processes.items():
        instrumented = any('instrumented by a sanitizer' in line for line in process.log)
        assert seccomp_of(process) == (0 if instrumented else 2), f'{name}: {process.text()}'


def test_without_a_sandbox(own_server):
    server = own_server('server.sandbox=false')
    server.start()
    assert all(seccomp_of(process) == 0 for process in server.processes.values())
    server.stop()


def test_links_to_the_router_may_be_encrypted(own_server, placement):
    server = own_server('router.tls=true')
    server.start()
    server.user('alice')
    server.client('alice').end()
    status = server.status()['components']
    with socket.create_connection(('127.0.0.1', server.router_port), 10) as raw:
        raw.sendall(b"<stream:stream xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>")
        features = b''
        while b'</stream:features>' not in features:
            got = raw.recv(4096)
            assert got
            features += got
        assert b'urn:ietf:params:xml:ns:xmpp-tls' in features
    if placement == 'processes':
        assert all(status[name]['link']['up'] for name in ('sm', 'c2s'))
        # who does not trust the router does not tell it the secret
        stranger = Process(['sm-9', *server.options([f'router.ca_file={server.ca}'])])
        server.processes['sm-9'] = stranger
        stranger.wait_ready()
        end = time.monotonic() + WAIT
        while not any('lost the router' in line or 'cannot reach the router' in line for line in stranger.log):
            assert time.monotonic() < end, stranger.text()
            time.sleep(0.1)
        assert not server.status()['components']['sm-9']['link']['up']
        del server.processes['sm-9']
        assert stranger.terminate() == 0
    server.stop()


def test_two_of_each(tmp_path):
    """As jackdaw@sm-2 and jackdaw@c2s-2 run them: the name says which instance it is."""
    server = Server('processes')
    try:
        for name in ('router', 'sm', 'sm-2', 'c2s'):
            server.processes[name] = Process([name, *server.options()])
        second_port = free_port()
        server.processes['c2s-2'] = Process(['c2s-2', *server.options(['c2s.port=0', f'c2s.tls_port={second_port}'])])
        for process in server.processes.values():
            process.wait_ready()
        status = server.status()
        assert {'router', 'sm', 'sm-2', 'c2s', 'c2s-2'} <= set(status['components'])
        # who is removed is out of both
        server.user('both')
        direct = ssl.create_default_context(cafile=server.ca)
        first = server.client('both', 'a')
        second = Raw(second_port, server.domain, server.ca, direct_tls=True, context=direct)
        second.login('both', server.password, 'b', tls=False)
        server.command('user', 'del', f'both@{server.domain}')
        assert first.stream_error()[0] == second.stream_error()[0] == 'not-authorized'
        for name in ('sm-2', 'c2s-2'):
            assert name in status['components'][name]['link']['names']
        for name in ('c2s-2', 'c2s', 'sm-2', 'sm', 'router'):
            assert server.processes[name].terminate() == 0
    finally:
        server.remove()
