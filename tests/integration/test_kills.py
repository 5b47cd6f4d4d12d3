"""kill -9 of router, sm, c2s, of c2s and sm together and of the whole server, again and again, under the traffic of a flock of clients with XEP-0198, with the
archive on (reliability.md C.1, issue 5). After each death everybody comes back and sends again what was not acknowledged; then every
message must have arrived, in order, once and at most once more for each death since it was sent. In the end each is once in both
archives. Few deaths and few clients here; a hundred deaths under two hundred:

    JACKDAW_TEST_KILLS=100 JACKDAW_TEST_CLIENTS=200 make test TEST_ARGS='integration -k test_kills'
"""
import os
import sqlite3
import time

import pytest

from conftest import Placement, Process, Server
from flock import Flock

KILLS = int(os.environ.get('JACKDAW_TEST_KILLS', '2'))
CLIENTS = int(os.environ.get('JACKDAW_TEST_CLIENTS', '30'))
RATE = 2.0  # messages of a client a second
VICTIMS = ['router', 'sm', 'c2s', 'c2s+sm', 'serve']


class Installation:
    def __init__(self, victim):
        self.victim = victim
        self.server = Server(Placement('inline' if victim == 'serve' else 'processes', 'sqlite'),
                             ['c2s.tls=off', 's2s.enabled=false', 'sm.max_offline=100000', 'sm.max_outbox=100000'])
        names = [f'bird{i}' for i in range(CLIENTS)]
        csv = self.server.data / 'users.csv'
        csv.write_text(''.join(f'{n}@{self.server.domain},{self.server.password}\n' for n in names))
        self.server.start()
        self.server.command('user', 'import', str(csv))
        self.flock = Flock(self.server.port, self.server.domain, self.server.password, names, 1 / RATE / CLIENTS)

    def one_death(self):
        """Returns how long it took until everybody was served again."""
        flock, processes = self.flock, self.server.processes
        flock.writing = True
        flock.run(lambda: len(flock.fresh) >= CLIENTS, 60, 'nobody writes')
        flock.burst()
        middle = time.monotonic() + flock.random.random() * 0.03  # of something
        flock.run(lambda: time.monotonic() >= middle, 60, '')
        victims = self.victim.split('+')
        for name in victims:
            processes[name].popen.kill()
        for name in victims:
            processes[name].kill()
        flock.kills += 1
        begun = time.monotonic()
        for name in victims:
            processes[name] = Process(processes[name].arguments)
        for name in victims:
            flock.run(processes[name].ready.is_set, 60, processes[name].text)
        flock.burst()
        flock.settle(120)
        for name, other in processes.items():
            assert other.popen.poll() is None, f'{name} has ended:\n' + other.text()
        assert not flock.wrong, flock.wrong[:5]
        return time.monotonic() - begun


@pytest.fixture
def installation(victim):
    made = Installation(victim)
    try:
        yield made
    finally:
        for name, process in made.server.processes.items():
            print(f'--- {name}\n' + process.text())
        made.server.remove()


@pytest.mark.parametrize('victim', VICTIMS)
def test_killed_again_and_again(victim, installation):
    flock = installation.flock
    took = [installation.one_death() for _ in range(KILLS)]
    flock.read_archives(60 + KILLS * CLIENTS / 100)
    wrong, sums = flock.judge()
    print(f'{victim}: {KILLS} deaths, {CLIENTS} clients: {dict(sums)}; all was well again after {sum(took) / KILLS:.1f} s, '
          f'at most {max(took):.1f} s')
    assert not wrong, f'{len(wrong)}: {wrong[:5]}'
    assert sums['resumed'] >= 9 * sums['begun_anew'], 'most come back to their sessions, whatever died'
    assert 'c2s' in victim or victim == 'serve' or sums['disconnected'] == 0, 'nobody but the clients of a dead c2s loses the connection'
    installation.server.stop()
    database = sqlite3.connect(installation.server.data / 'sm/jackdaw.db')
    assert database.execute('PRAGMA integrity_check').fetchone() == ('ok',)
    assert database.execute('SELECT count(*) FROM outbox').fetchone() == (0,), 'all was delivered'
    database.close()
