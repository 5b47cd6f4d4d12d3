"""A file system of a few megabytes for one test, which can be filled and freed: a tmpfs in a mount namespace of our own, so that nothing
of it is seen outside and nothing is left when we end."""
import ctypes
import errno
import os

import pytest

CLONE_NEWNS, MS_REC, MS_PRIVATE = 0x20000, 0x4000, 0x40000  # sched.h, sys/mount.h
libc = ctypes.CDLL(None, use_errno=True)
_entered = []


def enter_namespace():
    if _entered:
        return
    if libc.unshare(CLONE_NEWNS) != 0:
        assert ctypes.get_errno() == errno.EPERM, os.strerror(ctypes.get_errno())
        pytest.skip('no right to mount: this test needs root, and in a container CAP_SYS_ADMIN')
    assert libc.mount(b'none', b'/', None, MS_REC | MS_PRIVATE, None) == 0, os.strerror(ctypes.get_errno())
    _entered.append(True)


class SmallDisk:
    """At `path`, an empty folder. Whoever is started by this thread from now on sees it."""

    def __init__(self, path, megabytes):
        self.path, self.ballast = path, path / 'ballast'
        enter_namespace()
        assert libc.mount(b'tmpfs', os.fsencode(path), b'tmpfs', 0, f'size={megabytes}m,mode=755'.encode()) == 0, \
            os.strerror(ctypes.get_errno())

    def fill(self):
        """To the last byte."""
        with open(self.ballast, 'ab', buffering=0) as file:
            for block in (65536, 4096, 1):
                try:
                    while True:
                        file.write(b'\0' * block)
                except OSError as e:
                    assert e.errno == errno.ENOSPC

    def free(self):
        self.ballast.unlink()

    def remove(self):
        libc.umount2(os.fsencode(self.path), 2)  # MNT_DETACH: whatever is still open there
