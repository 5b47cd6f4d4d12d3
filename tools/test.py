#!/usr/bin/env python3
"""Runs every test of a finished build: tools/test.py BUILD_DIR [unit] [scenario] [simulator] [fuzz] [integration] [-k EXPRESSION] [--own]

Unit, scenario, simulator and fuzz-corpus tests run under meson; integration tests under pytest against BUILD_DIR/jackdaw, in
both placements; with --own in one of them, and without those of other people's servers. The closing line counts single test cases: "N passed, N failed".
"""
import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SUITES = ['unit', 'scenario', 'simulator', 'fuzz', 'integration']


class Counts:
    def __init__(self):
        self.passed = self.failed = 0
        self.skipped = []
        self.failures = []
        self.durations = []  # (seconds, name) of integration tests


def environment():
    """Sanitizers stop at the first finding, and say where. Harmless in a build without them."""
    env = dict(os.environ)
    env['ASAN_OPTIONS'] = 'abort_on_error=0:detect_leaks=1:strict_string_checks=1:detect_stack_use_after_return=1'
    env['UBSAN_OPTIONS'] = 'halt_on_error=1:print_stacktrace=1'
    return env


def cases_of(entry):
    """(passed, failed) of one meson test: cmocka's closing lines when it has them, else the program is one case."""
    text = (entry.get('stdout') or '') + (entry.get('stderr') or '')
    passed = sum(int(n) for n in re.findall(r'\[  PASSED  \] (\d+) test', text))
    failed = sum(int(n) for n in re.findall(r'\[  FAILED  \] (?:\w+: )?(\d+) test', text))
    ok = entry['result'] in ('OK', 'EXPECTEDFAIL')
    if passed + failed == 0:
        return (1, 0) if ok else (0, 1)
    return passed, failed if ok else max(failed, 1)


def run_meson(build, suites, counts):
    log = Path(build) / 'meson-logs' / 'testlog.json'
    log.unlink(missing_ok=True)
    command = ['meson', 'test', '-C', build, '--no-rebuild', '--print-errorlogs', '--timeout-multiplier', '4']
    if len(suites) < len(SUITES) - 1:
        for suite in suites:
            command += ['--suite', suite]
    code = subprocess.run(command, cwd=ROOT, env=environment(), stdin=subprocess.DEVNULL).returncode
    if not log.exists():
        counts.failed += 1
        counts.failures.append(f'meson test ran nothing (exit code {code})')
        return
    for line in log.read_text(encoding='utf-8', errors='replace').splitlines():
        entry = json.loads(line)
        if entry['result'] == 'SKIP':
            counts.skipped.append(entry['name'])
            continue
        passed, failed = cases_of(entry)
        counts.passed += passed
        counts.failed += failed
        if failed:
            counts.failures.append(f'{entry["name"]}: {entry["result"]}')


def run_pytest(build, counts, options):
    report = tempfile.NamedTemporaryFile(suffix='.xml', delete=False).name
    env = environment()
    env['JACKDAW'] = os.path.abspath(os.path.join(build, 'jackdaw'))
    command = ['/usr/bin/python3', '-m', 'pytest', '-q', '-p', 'no:cacheprovider', '--junitxml', report,
               'tests/integration']
    # They wait more than they compute. Each worker has a network of its own, or at least ports (tests/integration/conftest.py).
    command += ['-n', str(2 * (os.cpu_count() or 1)), '--dist', 'loadfile']
    if options.k:
        command += ['-k', options.k]
    if options.own:
        command += ['-m', 'not peers', '--placement', 'one']
    code = subprocess.run(command, cwd=ROOT, env=env, stdin=subprocess.DEVNULL).returncode
    try:
        cases = ET.parse(report).getroot().iter('testcase')
    except ET.ParseError:
        cases = []
    total = 0
    for case in cases:
        total += 1
        name = f'{case.get("classname")}.{case.get("name")}'
        counts.durations.append((float(case.get('time')), name))
        if case.find('failure') is not None or case.find('error') is not None:
            counts.failed += 1
            counts.failures.append(name)
        elif case.find('skipped') is not None:
            counts.skipped.append(f'{name}: {case.find("skipped").get("message")}')
        else:
            counts.passed += 1
    os.unlink(report)
    if code not in (0, 1) or total == 0:
        counts.failed += 1
        counts.failures.append(f'pytest ended with exit code {code} after {total} tests')


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('build')
    parser.add_argument('suites', nargs='*', metavar='SUITE', help=' '.join(SUITES))
    parser.add_argument('-k', default='', help='integration tests whose name matches (pytest -k)')
    parser.add_argument('--own', action='store_true', help="integration tests in one placement, none of other people's servers")
    options = parser.parse_args()
    unknown = set(options.suites) - set(SUITES)
    if unknown:
        parser.error(f'no suite {" ".join(unknown)}; there are: {" ".join(SUITES)}')
    suites = options.suites or SUITES
    counts = Counts()
    started = time.monotonic()
    with_meson = [s for s in suites if s != 'integration']
    if with_meson:
        run_meson(options.build, with_meson, counts)
    if 'integration' in suites:
        run_pytest(options.build, counts, options)
    print()
    for name in counts.skipped:
        print(f'skipped: {name}')
    for name in counts.failures:
        print(f'FAILED: {name}')
    for seconds, name in sorted(counts.durations, reverse=True)[:10]:
        print(f'{seconds:7.1f} s  {name}')
    skipped = f', {len(counts.skipped)} skipped' if counts.skipped else ''
    print(f'all tests took {time.monotonic() - started:.0f} s')
    print(f'{counts.passed} passed, {counts.failed} failed{skipped}')
    return 1 if counts.failed or counts.passed == 0 else 0


if __name__ == '__main__':
    sys.exit(main())
