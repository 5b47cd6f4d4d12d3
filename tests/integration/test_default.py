"""What runs when nobody has said anything about s2s: it is part of a server that others can reach, and never in the way."""
import contextlib
import socket
import subprocess
import time

import pytest

from conftest import JACKDAW, Server
from raw import WAIT

PLACEMENTS = ['inline']


class Plain(Server):
    """With a domain that others could reach, unless it is given another."""
    domain = 'example.org'


@contextlib.contextmanager
def plain(*settings, domain='example.org'):
    s = Plain('inline', settings)
    s.domain = domain
    try:
        yield s
    finally:
        s.remove()


@contextlib.contextmanager
def taken(port):
    """Somebody else listens there, on every address."""
    with socket.socket() as s, socket.socket(socket.AF_INET6) as s6:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s6.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        for one, ip in ((s, '0.0.0.0'), (s6, '::')):
            with contextlib.suppress(OSError):
                one.bind((ip, port))
                one.listen()
        yield


@pytest.mark.parametrize('domain, runs', [('example.org', True), ('localhost', False), ('office', False),
                                          ('a.localhost', False), ('127.0.0.1', False)])
def test_who_takes_part(domain, runs, placement):
    with plain(domain=domain) as s:
        s.start()
        components = s.status()['components']
        assert ('s2s' in components) == runs and ('resolver' in components) == runs
        s.stop()


def test_a_taken_port_is_a_warning(placement):
    with taken(5269), plain() as s:
        s.start()
        until = time.monotonic() + WAIT  # "ready" comes by another pipe than the log
        while 'not listening for servers on 0.0.0.0 port 5269' not in s.of('s2s').text():
            assert time.monotonic() < until, s.of('s2s').text()
            time.sleep(0.05)
        s.user('romeo')
        romeo = s.client('romeo')
        romeo.ping()
        s.stop()


def test_a_taken_port_that_was_asked_for_is_an_error(placement):
    with taken(5269), plain('s2s.enabled=true') as s:
        done = subprocess.run([JACKDAW, 'serve', *s.options()], capture_output=True, text=True, timeout=WAIT)
        assert done.returncode != 0 and 'cannot listen for servers' in done.stderr


def test_one_setting_leaves_it_out(placement):
    """A message to another domain is refused at once, and by the right name."""
    with plain('s2s.enabled=false') as s:
        s.start()
        assert 's2s' not in s.status()['components']
        s.user('romeo')
        romeo = s.client('romeo')
        romeo.send("<message to='juliet@elsewhere.example' id='m'><body>?</body></message>")
        error = romeo.wait_for('message', type='error', id='m')
        assert error.find('.//{urn:ietf:params:xml:ns:xmpp-stanzas}remote-server-not-found') is not None
        s.stop()


def test_no_resolv_conf(placement):
    """Only where one was named it must be there."""
    with plain('resolver.resolv_conf=/nonexistent') as s:
        done = subprocess.run([JACKDAW, 'serve', *s.options()], capture_output=True, text=True, timeout=WAIT)
        assert done.returncode != 0 and '/nonexistent' in done.stderr
