"""Debian's Prosody 0.12 as the other server, on a loopback address of its own. It finds us by DNS: an unbound that knows our
names is the only server in its resolv.conf, which only it sees (a mount namespace of its own). Needs root."""
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

import names
from conftest import WORKER, free_port, need, need_namespaces

DNS = f'127.0.4.{53 + WORKER}'


class Names(names.Names):
    def __init__(self, records):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            try:
                s.bind((DNS, 53))
            except PermissionError:
                pytest.skip('needs root, for the port of DNS')
        super().__init__(records, DNS, 'jd.')


class Prosody:
    """One installation: `domain` at ip:s2s_port."""
    password = 'correct horse'
    program = package = 'prosody'

    def __init__(self, domain, ip, ca, options=''):
        need(self.program, self.package)
        need_namespaces()
        self.domain, self.ip, self.s2s_port, self.port = domain, ip, free_port(), free_port()
        self.data = Path(tempfile.mkdtemp(prefix='jackdaw-prosody-'))
        self.popen = None
        self.ca = str(self.data / 'own-ca.pem')
        self.certificate(ca)
        (self.data / 'resolv.conf').write_text(f'nameserver {DNS}\n')
        self.write(options)

    def write(self, options):
        (self.data / 'prosody.cfg.lua').write_text(f'''
run_as_root = true
daemonize = false
pidfile = "{self.data}/pid"
data_path = "{self.data}"
certificates = "{self.data}"
interfaces = {{ "{self.ip}" }}
s2s_ports = {{ {self.s2s_port} }}
c2s_ports = {{ {self.port} }}
http_ports = {{ }}
https_ports = {{ }}
use_libevent = false
modules_enabled = {{ "roster", "saslauth", "tls", "dialback", "disco", "ping", "smacks", "s2s_bidi", "presence", "message", "iq", "offline" }}
modules_disabled = {{ "s2s_auth_dane", "http", "posix" }}
authentication = "internal_plain"
{options}
log = {{ debug = "{self.data}/log" }}
VirtualHost "{self.domain}"
  ssl = {{ key = "{self.data}/key.pem"; certificate = "{self.data}/cert.pem"; cafile = "{self.ca}"; }}
''')

    def certificate(self, ca):
        """Signed by the authority in the folder `ca`, or by itself."""
        run = lambda *a: subprocess.run(a, check=True, capture_output=True)
        key, cert, san = self.data / 'key.pem', self.data / 'cert.pem', f'subjectAltName=DNS:{self.domain}'
        if ca is None:
            run('openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', key,
                '-out', cert, '-days', '30', '-subj', f'/CN={self.domain}', '-addext', san)
            shutil.copy(cert, self.ca)
            return
        run('openssl', 'req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', key,
            '-out', self.data / 'csr.pem', '-subj', f'/CN={self.domain}')
        (self.data / 'ext').write_text(san + '\n')
        run('openssl', 'x509', '-req', '-in', self.data / 'csr.pem', '-CA', Path(ca) / 'ca.pem', '-CAkey',
            Path(ca) / 'ca-key.pem', '-CAcreateserial', '-CAserial', self.data / 'serial', '-days', '30', '-out', cert,
            '-extfile', self.data / 'ext')
        shutil.copy(Path(ca) / 'ca.pem', self.ca)

    def command(self):
        return f'exec prosody --config {self.data}/prosody.cfg.lua -F'

    def environment(self):
        return None

    def start(self):
        self.popen = subprocess.Popen(
            names.seen_by(self.data / 'resolv.conf', ['sh', '-c', self.command()]),
            env=self.environment(),
            stdout=open(self.data / 'out', 'a'), stderr=subprocess.STDOUT)
        until = time.monotonic() + 120
        while True:
            try:
                socket.create_connection((self.ip, self.port), 1).close()
                return self
            except OSError:
                assert time.monotonic() < until and self.popen.poll() is None, 'prosody does not start:\n' + self.text()
                time.sleep(0.1)

    def user(self, name):
        folder = self.data / self.domain.replace('.', '%2e') / 'accounts'
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f'{name}.dat').write_text(f'return {{ ["password"] = "{self.password}"; }};\n')

    def text(self):
        log = self.data / 'log'
        return (self.data / 'out').read_text() + (log.read_text()[-12000:] if log.exists() else '')

    def kill(self):
        self.popen.kill()
        self.popen.wait()

    def remove(self):
        if self.popen and self.popen.poll() is None:
            self.kill()
        shutil.rmtree(self.data, ignore_errors=True)
