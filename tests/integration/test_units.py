"""What `make install` puts where systemd finds it: the units pass systemd's own judgement of their sandbox, and the server lives
inside it - every system call it makes, from start to end, with a client and in both placements, is one that the filter allows."""
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import conftest
from conftest import JACKDAW, Server, need
from raw import WAIT

BUILD = Path(JACKDAW).resolve().parent
EXPOSURE = 1.5  # reliability.md A.3
COMPONENTS = ['router', 'sm', 'c2s', 's2s', 'resolver']
# Asked for by our own code or a library's, and it goes on without: the limit is the unit's (LimitNOFILE).
HARMLESS = {'prlimit64', 'setrlimit'}
if os.geteuid() == 0:
    HARMLESS.add('fchown')  # SQLite gives its journal the database's owner, as root only


@pytest.fixture(scope='module')
def installed(tmp_path_factory):
    """A tree as packagers get it: make install DESTDIR=..."""
    if not (BUILD / 'build.ninja').exists():
        pytest.skip(f'{BUILD} is no build directory: nothing to install from')
    need('systemd-analyze', 'systemd')
    tree = tmp_path_factory.mktemp('installed')
    done = subprocess.run(['meson', 'install', '-C', str(BUILD), '--no-rebuild', '--destdir', str(tree)], capture_output=True,
                          text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return tree


def one(tree, pattern):
    found = [p for p in tree.rglob(pattern) if p.is_file()]
    assert len(found) == 1, f'{pattern}: {found}'
    return found[0]


def unit(tree, name, folder):
    """The unit as the instance's own file, with its drop-ins."""
    template = one(tree, re.sub('@.*', '@.service', name) if '@' in name else name)
    shutil.copy(template, folder / name)
    drop_ins = template.parent / f'{name}.d'
    if drop_ins.exists():
        with (folder / name).open('a') as out:
            for drop_in in sorted(drop_ins.iterdir()):
                out.write('\n' + drop_in.read_text())
    return folder / name


@pytest.mark.parametrize('name', ['jackdaw.service', *(f'jackdaw@{c}.service' for c in COMPONENTS)])
def test_exposure(installed, tmp_path, name):
    done = subprocess.run(['systemd-analyze', 'security', '--offline=yes', '--no-pager', f'--threshold={int(EXPOSURE * 10)}',
                           str(unit(installed, name, tmp_path))], capture_output=True, text=True)
    level = re.search(r'exposure level for \S+ ([\d.]+)', done.stdout)
    assert level, done.stdout + done.stderr
    assert done.returncode == 0 and float(level[1]) <= EXPOSURE, done.stdout


@pytest.mark.parametrize('name', ['jackdaw.service', *(f'jackdaw@{c}.service' for c in COMPONENTS)])
def test_unit_is_well_formed(installed, tmp_path, name):
    path = unit(installed, name, tmp_path)
    text = path.read_text()
    assert '@bindir@' not in text and '@sandbox@' not in text
    allowed = {k: int(re.search(f'^{k}=(\\d+)$', text, re.M)[1]) for k in ('RestartSec', 'StartLimitBurst', 'StartLimitIntervalSec')}
    assert allowed['StartLimitBurst'] * allowed['RestartSec'] >= 20, 'ten kills in a row must not be the end'
    assert allowed['StartLimitBurst'] * allowed['RestartSec'] < allowed['StartLimitIntervalSec'], 'what cannot start is given up'
    program = re.search(r'^ExecStart=(\S+)', text, re.M)[1]
    assert (installed / program.lstrip('/')).exists()
    path.write_text(text.replace(program, JACKDAW))  # verify looks whether it is there
    done = subprocess.run(['systemd-analyze', 'verify', '--man=no', str(path)], capture_output=True, text=True)
    ours = [line for line in done.stderr.splitlines() if name in line]
    assert not ours, done.stderr


def test_user_and_directories(installed, tmp_path):
    need('systemd-sysusers', 'systemd')
    if os.geteuid() != 0:
        pytest.skip('only root can make users, even in a tree of its own')
    shutil.copytree(installed, tmp_path / 'root')
    root = tmp_path / 'root'
    for name, text in (('passwd', 'root:x:0:0::/root:/bin/sh\n'), ('group', 'root:x:0:\n')):
        (root / 'etc').mkdir(exist_ok=True)
        (root / 'etc' / name).write_text(text)
    sysusers, tmpfiles = (one(root, f'{d}/jackdaw.conf') for d in ('sysusers.d', 'tmpfiles.d'))
    for _ in range(2):  # the second time nothing changes
        subprocess.run(['systemd-sysusers', f'--root={root}', str(sysusers)], check=True, capture_output=True)
        subprocess.run(['systemd-tmpfiles', f'--root={root}', '--create', str(tmpfiles)], check=True, capture_output=True)
        assert re.search(r'^jackdaw:.*:/var/lib/jackdaw:/usr/sbin/nologin$', (root / 'etc/passwd').read_text(), re.M)
        assert (root / 'var/lib/jackdaw').stat().st_mode & 0o777 == 0o700
        config = root / 'etc/jackdaw/jackdaw.conf'
        assert config.stat().st_mode & 0o777 == 0o640
    config.write_text('# mine\n')
    subprocess.run(['systemd-tmpfiles', f'--root={root}', '--create', str(tmpfiles)], check=True, capture_output=True)
    assert config.read_text() == '# mine\n'


# ---- inside the sandbox ----

def members(group):
    """The calls of a @group, groups within it resolved."""
    text = subprocess.run(['systemd-analyze', 'syscall-filter', group], check=True, capture_output=True, text=True).stdout
    calls = set()
    for line in text.splitlines()[1:]:
        word = line.strip()
        if word.startswith('@'):
            calls |= members(word)
        elif word and not word.startswith('#'):
            calls.add(word)
    return calls


def allowed_by(text):
    calls = set()
    for value in re.findall(r'^SystemCallFilter=(.*)$', text, re.M):
        listed = set()
        for word in value.lstrip('~').split():
            listed |= members(word) if word.startswith('@') else {word}
        calls = calls - listed if value.startswith('~') else calls | listed
    return calls


class Traced(conftest.Process):
    """A process under strace, which writes every call by name."""

    def __init__(self, arguments):
        program = conftest.JACKDAW
        self.trace = Path(conftest.tempfile.mkstemp(prefix='jackdaw-trace-')[1])
        wrapper = self.trace.with_suffix('.sh')
        # exec: signals go to the server itself; strace runs as its child's tracer in the background (-D).
        wrapper.write_text(f'#!/bin/sh\nexec strace -D -f -qq -e signal=none -o {self.trace} {program} "$@"\n')
        wrapper.chmod(0o755)
        conftest.JACKDAW = str(wrapper)
        try:
            super().__init__(arguments)
        finally:
            conftest.JACKDAW = program

    def calls(self):
        return set(re.findall(r'^\d+ +(?:<\.\.\. )?(\w+)[( ]', self.trace.read_text(errors='replace'), re.M))


def test_every_system_call_is_allowed(installed, placement, monkeypatch):
    need('strace', 'strace')
    allowed = allowed_by(one(installed, 'jackdaw.service').read_text()) | HARMLESS
    assert 'openat' in allowed and not allowed & {'ptrace', 'mount', 'bpf', 'keyctl', 'reboot', 'init_module'}
    monkeypatch.setattr(conftest, 'Process', Traced)
    # A process has one tracer: with strace there, the leak checker of a sanitizer build cannot work.
    monkeypatch.setenv('ASAN_OPTIONS', os.environ.get('ASAN_OPTIONS', '') + ':detect_leaks=0')
    server = Server(placement, ['s2s.enabled=true', 's2s.address=127.0.0.1', f's2s.port={conftest.free_port()}',
                                's2s.require_certificate=false'])
    try:
        server.start()
        server.user('romeo')
        client = server.client('romeo')
        client.send("<presence/><message to='nobody@jackdaw.test' type='chat'><body>x</body></message>"
                    "<message to='somebody@server.invalid' type='chat'><body>x</body></message>")
        client.wait_for('message', WAIT)
        client.close()
        processes = dict(server.processes)
        server.stop()
        for name, process in processes.items():
            calls = process.calls()
            assert {'bind', 'openat'} <= calls, f'{name}: strace saw {sorted(calls)}'
            assert not calls - allowed, f'{name} makes calls that its unit forbids: {sorted(calls - allowed)}'
    finally:
        for process in server.processes.values():
            process.trace.unlink(missing_ok=True)
        server.remove()
