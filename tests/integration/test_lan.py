"""A LAN of its own (a network namespace with D-Bus and Avahi): the server is announced by DNS-SD, before Avahi runs, after it
was restarted, with what a reload changed; and without s2s nobody waits for an answer from elsewhere."""
import os
import subprocess
import time

import pytest

import conftest
from conftest import DOMAIN, need, need_namespaces
from raw import WAIT

BUS = '''<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>session</type><listen>unix:path={folder}/bus</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*"/><allow receive_sender="*"/><allow own="*"/><allow user="*"/></policy></busconfig>
'''
AVAHI = '[server]\nuse-ipv6=no\nallow-interfaces=lan0\nratelimit-interval-usec=0\n[wide-area]\nenable-wide-area=no\n[publish]\n[rlimits]\n'
LINK = ('mount -t tmpfs none /run && ip link set lo up && ip link add lan0 type veth peer name lan1 && ip link set lan0 up'
        ' && ip link set lan1 up && ip address add 192.0.2.1/24 dev lan0')


class Lan:
    def __init__(self, folder):
        self.folder = folder
        self.avahi = None
        self.holder = subprocess.Popen(['unshare', '-n', '-m', 'sh', '-c', LINK + ' && echo up && exec cat'],
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.holder.stdout.readline() == 'up\n'
        (folder / 'bus.conf').write_text(BUS.format(folder=folder))
        (folder / 'avahi.conf').write_text(AVAHI)
        self.env = {**os.environ, 'DBUS_SYSTEM_BUS_ADDRESS': f'unix:path={folder}/bus'}
        self.bus = None

    def inside(self, *command):
        return ['nsenter', '-t', str(self.holder.pid), '-n', '-m', *command]

    def start_bus(self):
        self.bus = subprocess.Popen(self.inside('dbus-daemon', f'--config-file={self.folder}/bus.conf', '--nofork',
                                                '--print-address'), stdout=subprocess.PIPE, text=True)
        assert self.bus.stdout.readline().startswith('unix:')

    def start_avahi(self):
        self.avahi = subprocess.Popen(self.inside('avahi-daemon', '-f', str(self.folder / 'avahi.conf'), '--no-drop-root',
                                                  '--no-chroot', '--no-rlimits'), env=self.env, stderr=subprocess.DEVNULL)

    def stop_avahi(self):
        self.avahi.kill()
        self.avahi.wait()

    def found(self, kind):
        """(name, port) of what is announced."""
        done = subprocess.run(self.inside('avahi-browse', '-rptk', kind), env=self.env, capture_output=True, text=True,
                              timeout=WAIT)
        rows = [line.split(';') for line in done.stdout.splitlines() if line.startswith('=')]
        return {(row[3].replace('\\.', '.'), int(row[8])) for row in rows}

    def wait_for(self, kind, wanted, seconds=60):
        end = time.monotonic() + seconds
        while (found := self.found(kind)) != wanted:
            assert time.monotonic() < end, f'{kind}: {found} instead of {wanted}'
            time.sleep(0.3)

    def close(self):
        for process in (self.avahi, self.bus):
            if process:
                process.kill()
                process.wait()
        self.holder.stdin.close()
        self.holder.wait()


@pytest.fixture
def lan(tmp_path, monkeypatch):
    for program, package in (('avahi-daemon', 'avahi-daemon'), ('avahi-browse', 'avahi-utils'), ('dbus-daemon', 'dbus'),
                             ('ip', 'iproute2'), ('nsenter', 'util-linux')):
        need(program, package)
    need_namespaces()
    made = Lan(tmp_path)
    wrapper = tmp_path / 'jackdaw'
    wrapper.write_text(f'#!/bin/sh\nexport DBUS_SYSTEM_BUS_ADDRESS={made.env["DBUS_SYSTEM_BUS_ADDRESS"]}\n'
                       f'exec {" ".join(made.inside(conftest.JACKDAW))} "$@"\n')
    wrapper.chmod(0o755)
    monkeypatch.setattr(conftest, 'JACKDAW', str(wrapper))
    yield made
    made.close()


def test_announced(lan, own_server):
    server = own_server()
    conf = server.data / 'lan.conf'
    plain = server.options

    def write(announce, tls_port):
        conf.write_text(f'lan {{ announce = {announce} }}\nc2s {{ tls_port = {tls_port} }}\n')
    server.settings = [s for s in server.settings if not s.startswith('c2s.tls_port')]
    server.options = lambda more=(): [*plain(more), '--config', str(conf)]
    write('true', server.tls_port)
    server.start()  # neither D-Bus nor Avahi is there
    here = {(DOMAIN, server.port)}
    lan.start_bus()
    lan.start_avahi()
    lan.wait_for('_xmpp-client._tcp', here)
    lan.wait_for('_xmpps-client._tcp', {(DOMAIN, server.tls_port)})
    lan.stop_avahi()
    lan.start_avahi()
    lan.wait_for('_xmpp-client._tcp', here)
    write('true', 0)
    server.command('reload')
    lan.wait_for('_xmpps-client._tcp', set())
    assert lan.found('_xmpp-client._tcp') == here
    write('false', 0)
    server.command('reload')
    lan.wait_for('_xmpp-client._tcp', set())
    write('true', 0)
    server.command('reload')
    lan.wait_for('_xmpp-client._tcp', here)
    server.stop()
    lan.wait_for('_xmpp-client._tcp', set())


def test_without_s2s_nobody_waits_for_an_answer(own_server):
    """One setting leaves federation out; RFC 6120 section 8.3.3.16."""
    server = own_server('s2s.enabled=false')
    server.start()
    server.user('alice')
    alice = server.client('alice')
    alice.send("<message to='bob@elsewhere.example' type='chat' id='m'><body>hi</body></message>"
               "<iq to='elsewhere.example' type='get' id='i'><ping xmlns='urn:xmpp:ping'/></iq>")
    for kind in ('message', 'iq'):
        error = alice.wait_for(kind, type='error').find('{jabber:client}error')
        assert error.get('type') == 'cancel'
        assert error.find('{urn:ietf:params:xml:ns:xmpp-stanzas}remote-server-not-found') is not None
    alice.end()
    server.stop()
