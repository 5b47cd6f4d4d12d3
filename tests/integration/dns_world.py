"""A small internet of names: a private signed root and its zones on nsd, unbound in front of it as the resolver that a
network has, servers that say nothing. All on loopback, on ports of their own; the daemons are ended by their pid.

The top level is `jd.`: libunbound answers for test. and invalid. by itself.
"""
import re
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from conftest import free_port
from raw import WAIT

SBIN = '/usr/sbin'
TLSA = '92003ba34942dc74152e2f2c408d29eca5a520e7f2e06bb944f4dca346baf63c'

SOA = '@ 3600 IN SOA ns.jd. admin.jd. 1 3600 900 604800 {negative}\n@ 3600 IN NS ns.jd.\n'

ZONES = {
    '.': SOA.format(negative=60) + 'jd. 3600 IN NS ns.jd.\nns.jd. 3600 IN A 127.0.0.1\n',
    'jd.': SOA.format(negative=45) + f'''
ns A 127.0.0.1
_xmpp-server._tcp.good 300 SRV 10 0 5269 a.good
_xmpp-server._tcp.good 300 SRV 20 0 5269 b.good
_xmpps-server._tcp.good 200 SRV 5 0 5270 a.good
a.good 120 A 192.0.2.1
a.good 120 A 192.0.2.2
a.good 130 AAAA 2001:db8::1
b.good 110 A 192.0.2.3
_5269._tcp.a.good 100 TLSA 3 1 1 {TLSA}
plain 90 A 192.0.2.10
_xmpp-server._tcp.none SRV 0 0 0 .
_xmpps-server._tcp.none SRV 0 0 0 .
none A 192.0.2.11
_xmpp-server._tcp.direct SRV 0 0 0 .
_xmpps-server._tcp.direct SRV 0 0 443 a.good
loop CNAME loop2
loop2 CNAME loop
_xmpp-server._tcp.srvloop CNAME _xmpp-server._tcp.srvloop2
_xmpp-server._tcp.srvloop2 CNAME _xmpp-server._tcp.srvloop
alias 80 CNAME plain
_xmpp-server._tcp.nowhere SRV 0 0 5269 missing.nowhere
_xmpp-server._tcp.odd SRV 0 0 0 plain
_xmpp-server._tcp.odd SRV 0 0 5269 not\\032a\\032host
unsigned NS ns
bogus NS ns
dead NS ns
_xmpp-server._tcp.half SRV 0 0 5269 x.bogus
_xmpp-server._tcp.half SRV 5 0 5269 b.good
_xmpp-server._tcp.xn--bcher-kva SRV 0 0 5269 b.good
''' + ''.join(f'_xmpp-server._tcp.big SRV {i} 0 5269 host{i}.big\n' +
              ''.join(f'host{i}.big A 198.51.{i}.{k + 1}\n' for k in range(12)) for i in range(100)),
    'unsigned.jd.': SOA.format(negative=30) + f'''
@ 70 A 192.0.2.20
_xmpp-server._tcp 70 SRV 0 0 5269 x
x 70 A 192.0.2.21
_5269._tcp.x 70 TLSA 3 1 1 {TLSA}
''',
    'bogus.jd.': SOA.format(negative=30) + '''
@ A 192.0.2.66
_xmpp-server._tcp SRV 0 0 5269 x
x A 192.0.2.66
''',
}
SIGNED = ['bogus.jd.', 'jd.', '.']  # children first: their DS belongs to the parent


class Silent:
    """Takes questions and says nothing."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 21)
        self.socket.bind(('127.0.0.1', 0))
        self.port = self.socket.getsockname()[1]

    def close(self):
        self.socket.close()


class Moody(Silent):
    """A forwarder that passes questions on, but is silent about names in one domain."""

    def __init__(self, upstream, label):
        super().__init__()
        self.upstream, self.label, self.dropped = upstream, bytes([len(label)]) + label.encode(), 0
        self.open = True
        self.socket.settimeout(0.2)
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        while self.open:
            try:
                question, sender = self.socket.recvfrom(4096)
            except socket.timeout:
                continue
            except OSError:
                return
            if self.label in question.lower():
                self.dropped += 1
            else:
                threading.Thread(target=self._pass, args=(question, sender), daemon=True).start()

    def _pass(self, question, sender):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(5)
            s.sendto(question, ('127.0.0.1', self.upstream))
            try:
                self.socket.sendto(s.recv(65535), sender)
            except OSError:
                pass

    def close(self):
        self.open = False
        super().close()


class World:
    def __init__(self, more=None):
        """`more`: lines to add, by zone."""
        self.more = more or {}
        self.folder = Path(tempfile.mkdtemp(prefix='jackdaw-dns-'))
        self.folder.chmod(0o755)
        self.authority, self.port = free_port(), free_port()
        self.silent = Silent()
        self.daemons = []
        try:
            self.zones()
            self.nsd()
            self.unbound()
        except BaseException:
            self.close()
            raise

    @property
    def forwarder(self):
        return f'127.0.0.1@{self.port}'

    @property
    def anchor(self):
        return self.folder / 'anchor.key'

    # ---- zones ----

    def zones(self):
        texts = {zone: text + self.more.get(zone, '') for zone, text in ZONES.items()}
        for zone, text in texts.items():
            self.file(zone).write_text(f'$ORIGIN {zone}\n$TTL 3600\n' + text)
        for zone in SIGNED:
            ds = self.sign(zone)
            if zone == '.':
                self.anchor.write_text(ds)
            else:
                parent = self.file(zone.split('.', 1)[1] or '.')
                parent.write_text(parent.read_text() + ds)
        signed = self.folder / 'bogus.jd.zone.signed'
        signed.write_text(re.sub(r'192\.0\.2\.66', '192.0.2.67', signed.read_text()))

    def file(self, zone):
        return self.folder / f'{zone.rstrip(".") or "root"}.zone'

    def run(self, *command):
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=WAIT)
        assert done.returncode == 0, f'{command}: {done.stdout}{done.stderr}'
        return done.stdout.strip()

    def sign(self, zone):
        """Returns the DS record."""
        ksk = self.run('ldns-keygen', '-a', 'ECDSAP256SHA256', '-r', '/dev/urandom', '-k', zone)
        zsk = self.run('ldns-keygen', '-a', 'ECDSAP256SHA256', '-r', '/dev/urandom', zone)
        self.run('ldns-signzone', '-o', zone, self.file(zone).name, zsk, ksk)
        return (self.folder / f'{ksk}.ds').read_text()

    # ---- daemons ----

    def start(self, *command):
        with open(self.folder / f'{Path(command[0]).name}.log', 'w') as log:
            self.daemons.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                                 cwd=self.folder))

    def nsd(self):
        zones = ''.join(
            f'zone:\n  name: "{zone}"\n  zonefile: "{self.file(zone).name}{".signed" if zone in SIGNED else ""}"\n'
            for zone in ZONES)
        (self.folder / 'nsd.conf').write_text(f'''server:
  ip-address: 127.0.0.1
  port: {self.authority}
  username: ""
  chroot: ""
  zonesdir: "{self.folder}"
  zonelistfile: "{self.folder}/zone.list"
  xfrdfile: "{self.folder}/xfrd.state"
  xfrdir: "{self.folder}"
  database: ""
  pidfile: "{self.folder}/nsd.pid"
  server-count: 1
  minimal-responses: yes
  rrl-ratelimit: 0
remote-control:
  control-enable: no
{zones}''')
        self.start(f'{SBIN}/nsd', '-d', '-c', str(self.folder / 'nsd.conf'))

    def unbound(self):
        # One for each zone: NS records can name no port.
        stubs = ''.join(f'stub-zone:\n  name: "{zone}"\n  stub-addr: 127.0.0.1@{self.authority}\n' for zone in ZONES)
        (self.folder / 'unbound.conf').write_text(f'''server:
  interface: 127.0.0.1
  port: {self.port}
  do-daemonize: no
  username: ""
  chroot: ""
  directory: "{self.folder}"
  pidfile: "{self.folder}/unbound.pid"
  use-syslog: no
  do-not-query-localhost: no
  num-queries-per-thread: 16384
  outgoing-range: 16384
  trust-anchor-file: "{self.anchor}"
{stubs}
forward-zone:
  name: "dead.jd."
  forward-addr: 127.0.0.1@{self.silent.port}
remote-control:
  control-enable: no
''')
        self.start(f'{SBIN}/unbound', '-d', '-c', str(self.folder / 'unbound.conf'))

    def wait(self, seconds=WAIT):
        """Until the whole chain answers: a question for plain.jd, A, by hand."""
        question = b'\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x05plain\x02jd\x00\x00\x01\x00\x01'
        until = time.monotonic() + seconds
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(0.5)
            while True:
                assert time.monotonic() < until and all(d.poll() is None for d in self.daemons), self.logs()
                s.sendto(question, ('127.0.0.1', self.port))
                try:
                    if s.recv(4096)[3] & 15 == 0:
                        return self
                except OSError:
                    time.sleep(0.1)

    def logs(self):
        return '\n'.join(f'--- {f.name}\n{f.read_text()[-3000:]}' for f in self.folder.glob('*.log'))

    def close(self):
        self.silent.close()
        for daemon in self.daemons:
            if daemon.poll() is None:
                daemon.terminate()
                try:
                    daemon.wait(5)
                except subprocess.TimeoutExpired:
                    daemon.kill()
                    daemon.wait()
        shutil.rmtree(self.folder, ignore_errors=True)
