"""A disk that is full, while clients with XEP-0198 write to each other with the archive on (reliability.md C.2): nothing is acknowledged
that is not stored, what has to be stored is refused with the error that is named there, live messages and logins go on, and when there
is room again all heals without a restart. test_store_faults.py and test_store have disks that refuse; this one is full."""
import fcntl
import json
import os
import sqlite3
import time

import pytest

from conftest import Placement, Process, Server
from flock import Flock
from postgres import Postgres
from raw import NS, Raw, local
from small_disk import SmallDisk

CLIENTS = 12
LONG = 120  # for a machine that has much to do
SETTINGS = ['c2s.tls=off', 'c2s.rate=0', 's2s.enabled=false', 'sm.max_roster=100000']


class OnSqlite:
    """The whole data directory is on the small disk."""
    megabytes = 12

    def __init__(self):
        self.server = Server(Placement('inline', 'sqlite'), SETTINGS)
        self.disk = SmallDisk(self.server.data, self.megabytes)

    def check(self):
        self.server.stop()
        for path in ('sm/jackdaw.db', 'accounts/accounts.db'):
            database = sqlite3.connect(self.server.data / path)
            assert database.execute('PRAGMA integrity_check').fetchone() == ('ok',)
            database.close()

    def remove(self):
        for name, process in self.server.processes.items():
            print(f'--- {name}\n' + process.text())
            if process.popen.poll() is None:
                process.kill()
        self.disk.remove()
        self.server.remove()


class OnPostgres(OnSqlite):
    """PostgreSQL's is, with two segments of WAL beside the tables."""
    megabytes = 160

    def __init__(self):
        self.server = Server(Placement('inline', 'sqlite'), SETTINGS)
        self.postgres = Postgres(lambda path: setattr(self, 'disk', SmallDisk(path, self.megabytes)))
        self.postgres.start('max_wal_size=32MB', 'min_wal_size=32MB')
        self.server.settings.insert(0, f'store.url={self.postgres.database()}')

    def check(self):
        self.server.stop()

    def remove(self):
        print(self.postgres.log())
        self.postgres.stop()
        super().remove()


class World:
    def __init__(self, on):
        self.on, self.server, self.disk = on, on.server, on.disk
        self.server.start()
        names = [f'bird{i}' for i in range(CLIENTS)]
        csv = self.server.data / 'users.csv'
        csv.write_text(''.join(f'{n}@{self.server.domain},{self.server.password}\n' for n in [*names, 'owner', 'away', 'late']))
        self.server.command('user', 'import', str(csv))
        self.flock = Flock(self.server.port, self.server.domain, self.server.password, names, 0.002)
        self.owner = self.login('owner')
        self.items = 0  # of its roster, that were acknowledged

    def login(self, name):
        client = Raw(self.server.port, self.server.domain)
        client.login(name, self.server.password, tls=False)
        client.send('<presence/>')
        client.wait_for('presence')
        return client

    def request(self, payload):
        """The answer to an iq set: None for a result, else its condition and type."""
        self.owner.send(f"<iq type='set' id='set'>{payload}</iq>")
        answer = self.owner.wait_for('iq', LONG, id='set')
        if answer.get('type') == 'result':
            return None
        error = answer.find('c:error', NS)
        return local(error[0]), error.get('type')

    def add_item(self):
        refused = self.request(f"<query xmlns='jabber:iq:roster'><item jid='item{self.items}@example.org' name='{'x' * 900}'/></query>")
        self.items += refused is None
        return refused

    def write_until_full(self):
        """Until something of the flock's cannot be archived any more."""
        self.flock.writing = True
        self.flock.run(lambda: any('cannot write to the archive' in line for line in self.server.processes['serve'].log), LONG,
                       'the disk is never full')

    def live_messages_go_on(self):
        since = len(self.flock.fresh)
        self.flock.run(lambda: any(m.copies for m in self.flock.fresh[since:]), LONG, 'no message arrives')

    def refused(self):
        """The errors of reliability.md: B 42 for what is stored for somebody, C.2 for changes of one's own."""
        until = time.monotonic() + LONG
        while not (answer := self.add_item()):  # what fits into pages that are there already may be stored
            assert time.monotonic() < until, 'it takes everything'
        assert answer == ('resource-constraint', 'wait')
        body = os.urandom(20000).hex()  # which no database can make smaller
        assert self.request(f"<query xmlns='jabber:iq:private'><a xmlns='test:a'>{body}</a></query>") == ('resource-constraint', 'wait')
        self.owner.send(f"<message to='away@{self.server.domain}' type='chat' id='m'><body>{body}</body></message>")
        error = self.owner.wait_for('message', LONG, type='error', id='m').find('c:error', NS)
        assert local(error[0]) == 'service-unavailable'

    def balance(self):
        """Everything acknowledged, arrived, archived once and in order; every item is in the roster."""
        self.flock.settle(LONG)
        self.flock.read_archives(LONG)
        wrong, sums = self.flock.judge()
        print(dict(sums))
        assert not wrong, f'{len(wrong)}: {wrong[:5]}'
        client = self.login('late')
        client.end()
        self.owner.close()
        self.owner = self.login('owner')
        self.owner.send("<iq type='get' id='roster'><query xmlns='jabber:iq:roster'/></iq>")
        query = self.owner.wait_for('iq', LONG, id='roster')[0]
        assert {i.get('jid') for i in query} == {f'item{i}@example.org' for i in range(self.items)}
        assert self.add_item() is None


@pytest.fixture(params=[OnSqlite, OnPostgres])
def world(request):
    on = request.param()
    try:
        yield World(on)
    finally:
        on.remove()


def until_full(world):
    world.flock.writing = True
    world.flock.run(lambda: len(world.flock.fresh) > 3 * CLIENTS, LONG, 'nobody writes')
    world.flock.settle(LONG)
    assert world.add_item() is None
    world.disk.fill()
    world.write_until_full()
    world.live_messages_go_on()


def test_full_and_freed(world):
    until_full(world)
    world.refused()
    world.login('late').end()
    world.live_messages_go_on()
    unacked = [m for m in world.flock.fresh if not m.acked]
    assert unacked, 'all was acknowledged, though it cannot have been stored'
    world.disk.free()
    world.balance()
    world.on.check()


def test_full_and_killed(world):
    """What was acknowledged while it was full is there when everything else is forgotten."""
    until_full(world)
    world.refused()
    process = world.server.processes['serve']
    process.kill()
    world.flock.kills += 1
    world.disk.free()
    world.server.processes['serve'] = process = Process(process.arguments)
    world.flock.run(process.ready.is_set, LONG, process.text)
    world.balance()
    world.on.check()


def test_audit_log():
    """Its records wait for room; those that are left out are counted."""
    server = Server(Placement('inline', 'sqlite'), ['c2s.tls=off', 's2s.enabled=false'])
    folder = server.data / 'audit'
    folder.mkdir()
    disk = SmallDisk(folder, 1)
    server.settings += [f'audit.file={folder}/log', 'audit.bodies=true']
    try:
        server.start()
        for name in ('romeo', 'juliet'):
            server.user(name)
        romeo, juliet = (server.client(name, tls=False) for name in ('romeo', 'juliet'))
        juliet.send('<presence/>')
        juliet.wait_for('presence')
        sent = 0

        def chat(count):
            for _ in range(count):
                romeo.send(f"<message to='juliet@{server.domain}/test' type='chat' id='{count}'><body>{'x' * 1000}</body></message>")
                assert local(juliet.wait_for('message')) == 'message'
            return count

        sent += chat(10)
        disk.fill()
        sent += chat(200)
        until = time.monotonic() + LONG
        while not any('audit' in line and 'cannot' in line for line in server.processes['serve'].log):
            assert time.monotonic() < until, 'nobody says that the audit log cannot be written'
            sent += chat(1)
        disk.free()
        while True:
            sent += chat(1)
            with open(folder / 'log') as log:
                fcntl.flock(log, fcntl.LOCK_SH)  # not in the middle of a batch that has to be cut off again
                records = [json.loads(line) for line in log.read().splitlines()]
            if sum(r.get('left_out', 1) for r in records) == sent:
                break
            assert time.monotonic() < until, f'{len(records)} records of {sent} messages'
            time.sleep(0.1)
        romeo.end()
        juliet.end()
        server.stop()
    finally:
        print('\n'.join(p.text() for p in server.processes.values()))
        for process in server.processes.values():
            process.kill()
        disk.remove()
        server.remove()
