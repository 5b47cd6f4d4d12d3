"""Databases that stop, die, are locked or whose disk refuses writes, while fifty clients chat (reliability.md C.2).

Presence, iq and messages between those online go on; what has to be stored waits, or fails with the error that
reliability.md names; nothing that was acknowledged is missing afterwards; and all heals by itself.
"""
import os
import resource
import signal
import sqlite3
import subprocess
import time

import pytest

from conftest import Process
from postgres import Postgres
from raw import NS, Raw, local

PLACEMENTS = ['inline']
CLIENTS = 50
LIMIT = 10  # seconds that what needs the database waits for it (docs/decisions/0060-postgresql.md)
LONG = 60   # for a machine that has much to do


class OnPostgres:
    refuses = False  # at once, rather than not to answer

    def __init__(self, server):
        self.postgres, self.url = server.postgres, server.url


class Frozen(OnPostgres):
    """PostgreSQL stands still and comes to life again."""

    def begin(self):
        self.postgres.freeze()

    def end(self):
        self.postgres.thaw()


class Killed(OnPostgres):
    """PostgreSQL is killed with all its processes, and started again."""

    def begin(self):
        self.postgres.kill()

    def end(self):
        self.postgres.start()


class LockedTables(OnPostgres):
    """Somebody else has locked tables that are read and written."""

    def begin(self):
        self.psql = subprocess.Popen([self.postgres.bin / 'psql', '-X', '-q', '-A', '-t', '-d', self.url], text=True,
                                     stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.psql.stdin.write('BEGIN; LOCK TABLE jackdaw_users."roster-items", jackdaw_accounts.authreg, jackdaw_accounts.authkeys;'
                              " SELECT 'locked';\n")
        self.psql.stdin.flush()
        assert self.psql.stdout.readline() == 'locked\n'

    def end(self):
        self.psql.communicate('ROLLBACK;\n')


class Full(OnPostgres):
    """The disk below PostgreSQL takes no more: whatever is written fails with the error that says so."""
    refuses = True
    EACH = ("DO $$ DECLARE t record; BEGIN FOR t IN SELECT * FROM pg_tables WHERE schemaname LIKE 'jackdaw%%' LOOP EXECUTE"
            " format('%s', t.schemaname, t.tablename); END LOOP; END $$;")

    def begin(self):
        self.postgres.sql("CREATE FUNCTION public.disk_full() RETURNS trigger AS $$ BEGIN RAISE EXCEPTION 'could not extend file'"
                          " USING ERRCODE = 'disk_full'; END $$ LANGUAGE plpgsql;"
                          + self.EACH % 'CREATE TRIGGER disk_full BEFORE INSERT OR UPDATE ON %I.%I EXECUTE FUNCTION public.disk_full()',
                          self.url)

    def end(self):
        self.postgres.sql(self.EACH % 'DROP TRIGGER disk_full ON %I.%I' + 'DROP FUNCTION public.disk_full', self.url)


class Locked:
    """Somebody else holds the write lock of both SQLite files."""
    refuses = False

    def __init__(self, server):
        self.paths = [server.data / 'accounts/accounts.db', server.data / 'sm/jackdaw.db']

    def begin(self):
        self.held = [sqlite3.connect(path, timeout=LONG, isolation_level=None) for path in self.paths]
        for db in self.held:
            db.execute('BEGIN IMMEDIATE')

    def end(self):
        for db in self.held:
            db.execute('ROLLBACK')
            db.close()


class Failing:
    """The disk takes no more: files of the server may not grow."""
    refuses = True

    def __init__(self, server):
        self.pid = server.of('sm').popen.pid

    def begin(self):
        _, hard = resource.prlimit(self.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(self.pid, resource.RLIMIT_FSIZE, (0, hard))

    def end(self):
        _, hard = resource.prlimit(self.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(self.pid, resource.RLIMIT_FSIZE, (hard, hard))


@pytest.fixture(params=[Frozen, Killed, LockedTables, Full, Locked, Failing], ids=lambda f: f.__name__.lower())
def crowd(request, own_server, monkeypatch):
    """(server, fault, clients)."""
    fault, database = request.param, None
    server = own_server('c2s.preauth_time=60')
    if issubclass(fault, OnPostgres):
        database = Postgres().start()
        server.url = database.database()
        server.settings.insert(0, f'store.url={server.url}')
    # A write beyond the limit shall be an error, not a signal: ignored signals stay ignored in a new program.
    popen = Process.__init__.__globals__['subprocess'].Popen
    monkeypatch.setattr('raw.WAIT', LONG)
    monkeypatch.setattr('conftest.subprocess.Popen', lambda *a, **k: popen(*a, **{**k, 'restore_signals': False}))
    try:
        server.start()
        server.postgres = database
        people = server.data / 'people.csv'
        people.write_text(''.join(f'u{i}@{server.domain},{server.password}\n' for i in range(CLIENTS + 1)))
        server.command('user', 'import', str(people))
        clients = [server.client(f'u{i}') for i in range(CLIENTS)]
        for client in clients:
            client.send('<presence/>')
            client.ping(LONG)
        yield server, fault(server), clients
        server.stop()
    finally:
        if database:
            for pid in database.processes() if database.popen.poll() is None else []:
                os.kill(pid, signal.SIGCONT)
            database.remove()


def take(client, name, **attributes):
    """The next element of that name with these attributes; what else has come stays."""
    kept = []
    until = time.monotonic() + LONG
    while True:
        element = client.next(until - time.monotonic())
        if local(element) == name and all(element.get(k.rstrip('_')) == v for k, v in attributes.items()):
            client.elements[:0] = kept
            return element
        kept.append(element)


def chat(server, clients, text):
    """Presence and a message from each to the next, and an iq from each to the server: all of it arrives."""
    for i, client in enumerate(clients):
        to = f'u{(i + 1) % CLIENTS}@{server.domain}/test'
        client.send(f"<presence to='{to}'><status>{text}</status></presence>"
                    f"<message to='{to}' type='chat' id='{text}'><body>{text}</body></message>")
    for i, client in enumerate(clients):
        sender = f'u{(i - 1) % CLIENTS}@{server.domain}/test'
        assert take(client, 'presence', from_=sender).findtext('c:status', namespaces=NS) == text
        assert take(client, 'message', from_=sender).findtext('c:body', namespaces=NS) == text
        client.ping(LONG)


def add(client, name):
    client.send(f"<iq type='set' id='{name}'><query xmlns='jabber:iq:roster'><item jid='{name}@example.com'/></query></iq>")


def answer(client, name):
    """None for a result, else the condition."""
    iq = take(client, 'iq', id=name)
    if iq.get('type') == 'result':
        return None
    return next(local(e) for e in iq.find('c:error', NS) if local(e) != 'text')


def roster(client):
    client.send("<iq type='get' id='roster'><query xmlns='jabber:iq:roster'/></iq>")
    return {i.get('jid') for i in take(client, 'iq', id='roster').findall('r:query/r:item', NS)}


def eventually(what):
    until = time.monotonic() + LONG
    while not what():
        assert time.monotonic() < until
        time.sleep(0.2)


def test_fifty_clients(crowd):
    server, fault, clients = crowd
    acknowledged = [set() for _ in clients]

    def collect(name):
        conditions = set()
        for i, client in enumerate(clients):
            condition = answer(client, name)
            conditions.add(condition)
            if condition is None:
                acknowledged[i].add(f'{name}@example.com')
        return conditions

    for client in clients:
        add(client, 'before')
    assert collect('before') == {None}
    chat(server, clients, 'before')

    # A short absence: nobody is told, everything comes in the end (but a disk that refuses does so at once).
    fault.begin()
    for client in clients:
        add(client, 'short')
    chat(server, clients, 'short')
    fault.end()
    assert collect('short') <= ({None, 'internal-server-error', 'resource-constraint'} if fault.refuses else {None})
    chat(server, clients, 'between')

    # A long one: the error is the one named.
    fault.begin()
    for client in clients:
        add(client, 'long')
    chat(server, clients, 'long')
    assert collect('long') <= {'internal-server-error', 'resource-constraint'}
    if isinstance(fault, OnPostgres) and not fault.refuses:
        stranger = Raw(server.port, server.domain, server.ca)
        stranger.open()
        stranger.starttls()
        stranger.open()
        failure = stranger.auth_scram(f'u{CLIENTS}', server.password)
        assert [local(e) for e in failure if local(e) != 'text'] == ['temporary-auth-failure']
        stranger.close()
    chat(server, clients, 'still')
    fault.end()

    # It heals by itself; what was acknowledged is there, for the sessions and for a server that begins anew.
    n = 0

    def works():
        nonlocal n
        n += 1
        add(clients[0], f'again{n}')
        return answer(clients[0], f'again{n}') is None
    eventually(works)
    acknowledged[0].add(f'again{n}@example.com')
    for client in clients:
        add(client, 'after')
    assert collect('after') == {None}
    chat(server, clients, 'after')
    for client in clients:
        client.end()
    server.stop()
    server.start()
    for i in range(0, CLIENTS, 7):
        client = server.client(f'u{i}')
        assert acknowledged[i] <= roster(client)
        client.end()
