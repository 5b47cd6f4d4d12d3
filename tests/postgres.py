#!/usr/bin/env python3
"""A PostgreSQL server for tests: in a directory of its own, on a unix socket there, gone at the end.

    tests/postgres.py PROGRAM [ARGUMENT...]     runs the program with JACKDAW_TEST_POSTGRES=URL of an empty database
    tests/postgres.py -- PROGRAM -- PROGRAM     several, one after the other, with one server; fails if one fails
"""
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BINARIES = sorted(Path('/usr/lib/postgresql').glob('*/bin'), key=lambda p: int(p.parent.name))


class Postgres:
    """PostgreSQL does not run as root: then it runs as the user `postgres` that its package makes. `prepare` gets the directory
    while it is empty."""

    def __init__(self, prepare=None):
        assert BINARIES, 'PostgreSQL is missing: tools/deps.sh test'
        self.bin = BINARIES[-1]
        self.user = 'postgres' if os.getuid() == 0 else None
        self.directory = Path(tempfile.mkdtemp(prefix='jackdaw-pg-'))
        if prepare:
            prepare(self.directory)
        self.directory.chmod(0o755)
        if self.user:
            os.chown(self.directory, pwd.getpwnam(self.user).pw_uid, -1)
        self.data = self.directory / 'data'
        self.popen = None
        self.made = 0
        self._run('initdb', '-D', str(self.data), '-U', 'jackdaw', '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync')

    def _run(self, program, *arguments):
        done = subprocess.run([str(self.bin / program), *arguments], user=self.user, cwd=self.directory,
                              capture_output=True, text=True, stdin=subprocess.DEVNULL)
        assert done.returncode == 0, f'{program}: {done.stdout}{done.stderr}'
        return done.stdout

    def start(self, *settings):
        """`settings`: name=value of postgresql.conf. The machine is not going to lose power, so nothing waits for disks."""
        options = []
        for setting in ['fsync=off', 'listen_addresses=', f'unix_socket_directories={self.directory}',
                        'max_connections=100', 'shared_buffers=32MB', 'autovacuum=off', *settings]:
            options += ['-c', setting]
        log = open(self.directory / 'log', 'ab')
        self.popen = subprocess.Popen([str(self.bin / 'postgres'), '-D', str(self.data), *options], user=self.user,
                                      cwd=self.directory, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        until = time.monotonic() + 60
        while subprocess.run([str(self.bin / 'pg_isready'), '-q', '-h', str(self.directory)]).returncode:
            assert self.popen.poll() is None and time.monotonic() < until, 'PostgreSQL does not start:\n' + self.log()
            time.sleep(0.05)
        return self

    def log(self):
        return (self.directory / 'log').read_text(errors='replace')[-4000:]

    def url(self, database='postgres', user='jackdaw'):
        return f'postgresql://{user}@/{database}?host={self.directory}'

    def database(self):
        """The URL of a new one."""
        self.made += 1
        name = f'jackdaw{self.made}'
        self.sql(f'CREATE DATABASE {name}')
        return self.url(name)

    def empty(self, url):
        self.sql('SET client_min_messages TO warning; DROP SCHEMA IF EXISTS jackdaw_users, jackdaw_accounts CASCADE', url)

    def sql(self, text, url=None):
        """Rows as lines, columns separated by |."""
        return self._run('psql', '-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1', '-d', url or self.url(), '-c', text)

    def processes(self):
        """The pids of the server and of everything it has started."""
        children = Path(f'/proc/{self.popen.pid}/task/{self.popen.pid}/children').read_text().split()
        return [self.popen.pid, *map(int, children)]

    def freeze(self):
        for pid in self.processes():
            os.kill(pid, signal.SIGSTOP)

    def thaw(self):
        for pid in self.processes():
            os.kill(pid, signal.SIGCONT)

    def kill(self):
        """kill -9 for all of it."""
        if self.popen and self.popen.poll() is None:
            for pid in self.processes():
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            self.popen.wait()

    def stop(self):
        """Ends sessions and stops (SIGINT: "fast")."""
        if self.popen and self.popen.poll() is None:
            self.popen.send_signal(signal.SIGINT)
            try:
                self.popen.wait(30)
            except subprocess.TimeoutExpired:
                self.kill()

    def remove(self):
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)


def main(arguments):
    commands, command = [], []
    for argument in [*arguments, '--']:
        if argument != '--':
            command.append(argument)
        elif command:
            commands.append(command)
            command = []
    server = Postgres()
    codes = []
    try:
        server.start()
        environment = dict(os.environ, JACKDAW_TEST_POSTGRES=server.database())
        for command in commands:
            if codes:
                server.empty(environment['JACKDAW_TEST_POSTGRES'])
            codes.append(subprocess.run(command, env=environment).returncode)
            sys.stdout.flush()
    finally:
        server.remove()
    for command, code in zip(commands, codes):
        if code:
            print(f'{" ".join(command)}: exit code {code}')
    return int(any(codes) or not commands)


if __name__ == '__main__':
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    sys.exit(main(sys.argv[1:]))
