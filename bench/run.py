#!/usr/bin/env python3
"""What Jackdaw costs, beside its peers and beside the physical limit.

    bench/run.py [--build DIR] [--servers jackdaw,prosody,ejabberd,jabberd2,relay] [--only message,login ...]

Every server (servers.py) is started by this script on loopback ports of its own, with a configuration of its own in a temporary
directory, driven by the same load generator (load.c), and measured (measures.py) in processor time of all its threads and in
proportional set size. A run over all servers and all measures writes docs/performance.md (report.py); any other only prints.
"""
import argparse
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import federation
import report
from measures import ACCOUNTS, MEASURES, load, measure
from postgres import Postgres
from servers import DOMAIN, NO_XMPP, ROOT, SERVERS, installed, run

RAW = ('message', 'message-8', 'fanout')
PORTS = 27100  # below those that the kernel gives to whoever connects: these are taken for a minute after each connection


def install_peers(packages):
    """From Debian, without starting their services: tools/deps.sh sees to that."""
    if not all(installed(p) for p in packages):
        subprocess.run([str(ROOT / 'tools/deps.sh'), 'bench'], check=True)


def phase_of(key):
    return MEASURES[key].phase


class Bench:
    """All measures of one server: `results` {measure: figure} and `reasons` {measure: why there is none}."""

    def __init__(self, cls, port, options):
        self.cls, self.port, self.options = cls, port, options
        self.results = {}
        self.reasons = dict(cls.without)
        if cls.raw:
            self.reasons.update({k: NO_XMPP for k in MEASURES if k not in RAW})
        self.wanted = [k for k in MEASURES if k in options.only and k not in self.reasons and MEASURES[k].command]
        self.server = None

    def failed(self, key, why):
        why = ' '.join(str(why).split())[:300]
        for name in (key, *MEASURES[key].also):
            self.reasons[name] = f'failed: {why}'
            print(f'  {MEASURES[name].title:75} failed: {why}', flush=True)

    def attempt(self, key, server):
        began = time.monotonic()
        for left in reversed(range(server.tries)):
            # jabberd2 ends new streams that get the file descriptor of one just closed (its session key): a pause helps.
            time.sleep(0.5)
            try:
                found = measure(server, self.options, key)
                break
            except subprocess.TimeoutExpired as e:
                self.failed(key, f'not done after {e.timeout:.0f} s')
                return
            except (RuntimeError, OSError, subprocess.SubprocessError) as e:
                if not left:
                    self.failed(key, e)
                    return
        self.results.update(found)
        for name, value in found.items():
            print(f'  {MEASURES[name].title:75} {value:10.2f} {MEASURES[name].unit:2} {time.monotonic() - began:6.0f} s', flush=True)

    def keys(self, phase):
        return [k for k in self.wanted if phase_of(k) == phase]

    def begin(self):
        """The accounts that the measures need."""
        self.server.prepare()
        if self.server.raw:
            return
        needed = {MEASURES[k].prefix for k in self.wanted}
        self.server.start()
        for prefix in ACCOUNTS:
            if prefix in needed:
                register(self.server, self.options, prefix)
        self.server.stop()

    def alone(self):
        for key in self.keys('fresh'):
            self.server.start()
            self.attempt(key, self.server)
            self.server.stop()
        if self.keys('shared'):
            self.server.start()
            for key in self.keys('shared'):
                self.attempt(key, self.server)
            self.server.stop()
        self.server.archive = True
        if self.keys('archive') or self.keys('full'):
            self.server.start()  # makes the tables, too
            for key in self.keys('archive'):
                self.attempt(key, self.server)
            self.server.stop()
        if self.keys('full'):
            self.server.fill()
            self.server.start()
            for key in self.keys('full'):
                self.attempt(key, self.server)

    def paired(self):
        """Two of a kind, that find each other by DNS (ours by its configuration)."""
        pair = [self.cls(PORTS + 100 + 10 * i, self.options.build, f's{i}.{DOMAIN}') for i in range(2)]
        names = federation.Names(pair) if self.cls.package else None
        try:
            for server, other in (pair, reversed(pair)):
                server.other, server.names = other, names
                server.prepare()
                server.start()
            for server in pair:
                other, server.other = server.other, None
                register(server, self.options, 'u', 100)
                server.other = other
            for key in self.keys('paired'):
                self.attempt(key, pair[0])
        finally:
            for server in pair:
                self.finish(server)
            if names:
                names.close()

    def finish(self, server):
        server.stop()
        if not self.options.keep:
            server.remove()

    def guarded(self, part, keys):
        """A server that does not start or stops in the middle costs its own rows, no more. Whether it went well."""
        try:
            part()
            return True
        except (RuntimeError, AssertionError, OSError, subprocess.SubprocessError) as e:
            for key in keys:
                if key not in self.results and key not in self.reasons:
                    self.failed(key, getattr(e, 'stderr', None) or e)
            return False

    def run(self):
        pairs = self.keys('paired')
        alone = [k for k in self.wanted if k not in pairs]
        self.server = self.cls(self.port, self.options.build)
        print(f'{self.server.name} ({self.server.version()})', flush=True)
        try:
            if alone:
                if self.guarded(self.begin, alone):
                    self.guarded(self.alone, alone)
        finally:
            self.finish(self.server)
        if pairs and self.cls.package and not self.options.network:
            self.reasons.update(dict.fromkeys(pairs, 'only root can give it a DNS server of its own'))
        elif pairs:
            self.guarded(self.paired, pairs)


def register(server, options, prefix, count=None):
    command = ['register', '--prefix', prefix, '--count', str(count or ACCOUNTS[prefix]), *server.register_options]
    for _ in range(5):  # several processes listen before they have found each other
        try:
            return load(server, options, command)
        except RuntimeError:
            time.sleep(1)
    return load(server, options, command)


def bench_storage(build):
    """The storage alone on both databases."""
    database = Postgres()
    folder = Path(tempfile.mkdtemp(prefix='bench-store-'))
    try:
        database.start('fsync=on')
        return report.storage(*(run([Path(build) / 'bench/bench_store', where, '4000']) for where in (folder / 'store.db', database.database())))
    finally:
        database.remove()
        shutil.rmtree(folder, ignore_errors=True)


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--build', default=str(ROOT / 'build'))
    parser.add_argument('--servers', default=','.join(s.name for s in SERVERS))
    parser.add_argument('--only', default=','.join(MEASURES), help='of: ' + ' '.join(MEASURES))
    parser.add_argument('--repeat', type=int, default=3, help='the median of so many')
    parser.add_argument('--keep', action='store_true', help='leave the servers\' directories')
    options = parser.parse_args()
    options.only, options.servers = options.only.split(','), options.servers.split(',')
    for name in options.only + options.servers:
        if name not in MEASURES and name not in [s.name for s in SERVERS]:
            parser.error(f'no server or measure "{name}"')
    return options


def main():
    began = time.monotonic()
    options = parse()
    chosen = [s for s in SERVERS if s.name in options.servers]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # ends the servers, too
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    install_peers([p for s in chosen if s.package for p in (s.package, *s.needs)])
    options.network = federation.own_network()
    benches = [Bench(cls, PORTS + 10 * i, options) for i, cls in enumerate(chosen)]
    for bench in benches:
        bench.run()
    results = {b.cls.name: b.results for b in benches}
    figures = report.table(results, {b.cls.name: b.reasons for b in benches}, chosen)
    print(f'\n{figures}')
    whole = len(chosen) == len(SERVERS) and set(options.only) == set(MEASURES)
    if whole:
        goals = report.aims(results)
        alone = bench_storage(options.build)
        print(f'\n{goals}\n\n{alone}')
        report.picture(results)
        report.write(figures, goals, alone, [b.server for b in benches], (time.monotonic() - began) / 60)
        print('\nwritten to docs/performance.md and its picture')
    ours = [b for b in benches if not b.cls.package]
    return 0 if all(k in b.results for b in ours for k in b.wanted) else 1


if __name__ == '__main__':
    sys.exit(main())
