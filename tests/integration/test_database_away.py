"""A server that is started while PostgreSQL is away waits for it, says so, and goes on when it is there; it can be stopped meanwhile."""
import time

import pytest

from conftest import Process, Server
from postgres import Postgres
from raw import WAIT

WAITING = 'does not answer: waiting for it'


@pytest.fixture
def world(placement):
    database = Postgres()
    server = Server(placement, [f'store.url={database.url()}'])
    try:
        yield server, database
    finally:
        server.remove()
        database.remove()


def begin(server):
    """All processes; those with a database have said that they wait."""
    for name in server.names:
        server.processes[name] = Process([name, *server.options()])
    until = time.monotonic() + WAIT
    for name in ('sm', 'c2s'):
        process = server.of(name)
        while WAITING not in process.text():
            assert process.popen.poll() is None, process.text()
            assert time.monotonic() < until, process.text()
            time.sleep(0.02)
        assert not process.ready.is_set()


def test_comes_later(world):
    server, database = world
    begin(server)
    database.start()
    for process in server.processes.values():
        process.wait_ready()
    server.user('romeo')
    server.client('romeo').ping()
    assert all(p.text().count(WAITING) <= 2 for p in server.processes.values()), 'said once for each database, not each time'
    server.stop()


def test_stopped_while_it_waits(world):
    server, _ = world
    begin(server)
    server.stop()  # exit code 0
