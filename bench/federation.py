"""What two servers of one kind need to find each other: names in DNS, asked of a server of ours that only they see.

Prosody and ejabberd look for SRV records at port 53 of what /etc/resolv.conf names. So the benchmark moves into a network namespace
of its own, an unbound answers there, and each server has a mount namespace with another resolv.conf. That needs root.
"""
import ctypes
import fcntl
import os
import socket
import struct
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / 'tests'))
import names  # noqa: E402

ADDRESS = '127.0.0.53'


def own_network():
    """True when this process and its children have a network to themselves now."""
    clone_newnet, set_flags, up = 0x40000000, 0x8914, 0x49  # sched.h, sockios.h; UP | LOOPBACK | RUNNING
    if os.geteuid() != 0 or ctypes.CDLL(None, use_errno=True).unshare(clone_newnet) != 0:
        return False
    with socket.socket() as s:
        fcntl.ioctl(s, set_flags, struct.pack('16sH14x', b'lo', up))
    return True


class Names(names.Names):
    """An unbound that knows these servers (domain, s2s_port), all on this machine."""

    def __init__(self, servers):
        records = []
        for s in servers:
            records += [f'_xmpp-server._tcp.{s.domain}. 3600 IN SRV 0 0 {s.s2s_port} {s.domain}.',
                        f'{s.domain}. 3600 IN A 127.0.0.1']
        super().__init__(records, ADDRESS, '.')
