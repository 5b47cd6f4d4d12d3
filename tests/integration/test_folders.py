"""Each database has a folder of its own, so that the process of the one cannot reach the other: what an earlier version left beside
each other is moved at the first start, or by the first command; and a c2s or sm that is a process of its own reaches nothing else.
And who opens what: a database c2s and sm, each its own; the name servers the resolver alone."""
import os
import re
import shutil

import pytest

import conftest
from conftest import Server, need
from prosody import DNS, Names
from raw import WAIT
from test_s2s import Peer
from test_units import Traced

PLACES = {'accounts.db': 'accounts', 'jackdaw.db': 'sm'}
MESSAGE = "<message to='juliet@jackdaw.test' type='chat' id='m'><body>kept</body></message>"


@pytest.fixture
def old(own_server):
    """As an earlier version left it when its processes were killed: with the logs of both databases."""
    server = own_server('sm.outbox_after=10').start()
    for name in ('romeo', 'juliet'):
        server.user(name)
    romeo = server.client('romeo')
    romeo.send(MESSAGE + "<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>")
    romeo.wait_for('iq', id='r')
    romeo.send("<iq type='set' id='s'><query xmlns='jabber:iq:roster'><item jid='juliet@jackdaw.test' name='J'/></query></iq>")
    romeo.wait_for('iq', id='s')  # behind the message, which is on the disk when this is
    for process in server.processes.values():
        process.kill()
    server.processes = {}
    for name, folder in PLACES.items():
        for suffix in ('', '-wal', '-shm'):
            path = server.data / folder / (name + suffix)
            if path.exists():
                path.rename(server.data / (name + suffix))
        assert (server.data / (name + '-wal')).stat().st_size, 'nothing would be lost without it'
        shutil.rmtree(server.data / folder)
    return server


def is_moved(server):
    left = [p.name for p in server.data.iterdir() if p.name.split('-')[0] in PLACES]
    assert not left, left
    assert all((server.data / folder / name).exists() for name, folder in PLACES.items())
    assert all((server.data / folder).stat().st_mode & 0o777 == 0o700 for folder in PLACES.values())


def everything_is_there(server):
    romeo, juliet = server.client('romeo'), server.client('juliet')
    romeo.send("<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>")
    assert romeo.wait_for('iq', id='r')[0][0].get('jid') == 'juliet@jackdaw.test'
    juliet.send('<presence/>')
    assert juliet.wait_for('message').get('id') == 'm'


def test_moved_at_start(old):
    old.start()
    is_moved(old)
    everything_is_there(old)
    old.stop()


def test_moved_by_a_command(old):
    assert 'romeo@jackdaw.test' in old.command('user', 'list').stdout
    is_moved(old)
    old.start()
    everything_is_there(old)
    old.stop()


def test_backup_of_an_old_one(old, tmp_path):
    old.command('backup', str(tmp_path / 'b'))
    is_moved(old)
    old.command('restore', '--force', str(tmp_path / 'b'))
    is_moved(old)
    old.start()
    everything_is_there(old)
    old.stop()


def files_of(process):
    """What the process has open below its data directory."""
    folder = f'/proc/{process.popen.pid}/fd'
    return {os.readlink(f'{folder}/{fd}') for fd in os.listdir(folder)}


def test_each_opens_its_own():
    server = Server('processes')
    try:
        server.start()
        server.user('romeo')
        romeo = server.client('romeo')
        romeo.send("<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>")
        romeo.wait_for('iq', id='r')
        for name, own, other in (('c2s', 'accounts', 'sm'), ('sm', 'sm', 'accounts')):
            opened = files_of(server.processes[name])
            assert any(f'{server.data}/{own}/' in path for path in opened), opened
            assert not any(f'{server.data}/{other}/' in path for path in opened), opened
        assert not any('.db' in path for path in files_of(server.processes['router']))
        server.stop()
    finally:
        server.remove()


def test_who_opens_what(monkeypatch):
    need('strace', 'strace')
    monkeypatch.setattr(conftest, 'Process', Traced)
    monkeypatch.setenv('ASAN_OPTIONS', os.environ.get('ASAN_OPTIONS', '') + ':detect_leaks=0')  # a process has one tracer
    server = Peer('a.jd', '127.0.4.21', None, ['resolver.resolv_conf=', 'resolver.trust_anchor=none', 'resolver.hosts='], 'processes')
    server.settings = [s.replace('127.0.0.1@1', DNS) for s in server.settings]
    names, traces = Names([]), {}
    try:
        server.start()
        server.user('romeo')
        romeo = server.client('romeo')
        romeo.send("<presence/><message to='x@nobody.jd' type='chat' id='m'><body>?</body></message>")
        assert romeo.wait_for('message', WAIT, id='m').get('type') == 'error'
        processes = dict(server.processes)
        server.stop()
        traces = {name: p.trace.read_text(errors='replace') for name, p in processes.items()}
    finally:
        for process in server.processes.values():
            process.trace.unlink(missing_ok=True)
        server.remove()
        names.close()
    assert {name for name, text in traces.items() if 'htons(53)' in text} == {'resolver'}
    opened = {name: set(re.findall(r'openat\([^"]*"[^"]*?([\w.]+\.db)[-\w]*"', text)) for name, text in traces.items()}
    assert opened == {'c2s': {'accounts.db'}, 'sm': {'jackdaw.db'}, 'router': set(), 's2s': set(), 'resolver': set()}
