"""A DNS server of our own for tests and benchmarks: unbound that knows the records it is given and nothing else."""
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

PROGRAM = '/usr/sbin/unbound'


class Names:
    """At port 53 of `address` until `close`. `zone` is all that it answers for itself."""

    def __init__(self, records, address, zone):
        self.folder = Path(tempfile.mkdtemp(prefix='jackdaw-names-'))
        self.folder.chmod(0o755)
        lines = ''.join(f'  local-data: "{r}"\n' for r in records)
        (self.folder / 'unbound.conf').write_text(f'''server:
  interface: {address}
  port: 53
  access-control: 127.0.0.0/8 allow
  do-daemonize: no
  username: ""
  chroot: ""
  pidfile: ""
  use-syslog: no
  logfile: "{self.folder}/log"
  module-config: "iterator"
  local-zone: "{zone}" static
{lines}''')
        self.resolv_conf = self.folder / 'resolv.conf'
        self.resolv_conf.write_text(f'nameserver {address}\n')
        self.popen = subprocess.Popen([PROGRAM, '-d', '-c', str(self.folder / 'unbound.conf')],
                                      stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until = time.monotonic() + 60
        while True:
            try:
                socket.create_connection((address, 53), 1).close()
                return
            except OSError:
                if time.monotonic() > until or self.popen.poll() is not None:
                    raise RuntimeError('unbound does not start') from None
                time.sleep(0.05)

    def seen_by(self, command):
        return seen_by(self.resolv_conf, command)

    def close(self):
        self.popen.terminate()
        self.popen.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def seen_by(resolv_conf, command):
    """The command with that file as its /etc/resolv.conf: in a mount namespace, which needs root."""
    return ['unshare', '-m', 'sh', '-c', 'mount --bind "$0" /etc/resolv.conf && exec "$@"', str(resolv_conf), *command]
