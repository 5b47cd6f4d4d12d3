"""What two servers of one kind need to find each other: names in DNS, asked of a server of ours that only they see.

Prosody and ejabberd look for SRV records at port 53 of what /etc/resolv.conf names. So the benchmark moves into a network namespace
of its own, an unbound answers there, and each server has a mount namespace with another resolv.conf. That needs root.
"""
import ctypes
import fcntl
import os
import shutil
import socket
import struct
import subprocess
import tempfile
import time
from pathlib import Path

ADDRESS = '127.0.0.53'


def own_network():
    """True when this process and its children have a network to themselves now."""
    clone_newnet, set_flags, up = 0x40000000, 0x8914, 0x49  # sched.h, sockios.h; UP | LOOPBACK | RUNNING
    if os.geteuid() != 0 or ctypes.CDLL(None, use_errno=True).unshare(clone_newnet) != 0:
        return False
    with socket.socket() as s:
        fcntl.ioctl(s, set_flags, struct.pack('16sH14x', b'lo', up))
    return True


class Names:
    """An unbound that knows these servers (domain, s2s_port), all on this machine."""

    def __init__(self, servers):
        self.folder = Path(tempfile.mkdtemp(prefix='bench-names-'))
        data = ''.join(f'  local-data: "_xmpp-server._tcp.{s.domain}. 3600 IN SRV 0 0 {s.s2s_port} {s.domain}."\n'
                       f'  local-data: "{s.domain}. 3600 IN A 127.0.0.1"\n' for s in servers)
        (self.folder / 'unbound.conf').write_text(f'''server:
  interface: {ADDRESS}
  access-control: 127.0.0.0/8 allow
  do-daemonize: no
  username: ""
  chroot: ""
  pidfile: ""
  use-syslog: no
  logfile: "{self.folder}/log"
  module-config: "iterator"
  local-zone: "." static
{data}''')
        self.resolv_conf = self.folder / 'resolv.conf'
        self.resolv_conf.write_text(f'nameserver {ADDRESS}\n')
        self.folder.chmod(0o755)
        self.process = subprocess.Popen(['/usr/sbin/unbound', '-d', '-c', str(self.folder / 'unbound.conf')],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until = time.monotonic() + 20
        while True:
            try:
                socket.create_connection((ADDRESS, 53), 1).close()
                return
            except OSError:
                if time.monotonic() > until or self.process.poll() is not None:
                    raise RuntimeError('unbound does not start')
                time.sleep(0.1)

    def seen_by(self, command):
        """The command with this resolv.conf for its own."""
        return ['unshare', '-m', 'sh', '-c', 'mount --bind "$0" /etc/resolv.conf && exec "$@"', self.resolv_conf, *command]

    def close(self):
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)
