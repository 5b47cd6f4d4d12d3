"""What is measured, and how one figure of one server comes about: the load generator (load.c) is run beside it."""
import json
import statistics
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

ACCOUNTS = {'u': 1000, 'f': 101, 'o': 60, 'r': 1, 'c': 1001}  # prefix -> how many
STORM = 5000  # clients of the resume storm, five to an account
LOAD_SECONDS = 150  # the longest that one run of the load generator may take


@dataclass(frozen=True)
class Measure:
    title: str
    unit: str  # us, ms and s of processor time, KB
    command: list  # of load.c; None: another measure answers it, too
    answer: str  # the field of its answer
    # shared: one server for all of them; fresh: one of its own each, where nothing has been done before; archive: the archive is on;
    # full: and holds ROWS_IN_ARCHIVE; paired: two servers of the kind
    phase: str = 'shared'
    once: bool = False  # what it sets up stays, or it takes long
    also: dict = field(default_factory=dict)  # other measures that its answer holds
    prefix: str = 'u'  # of the accounts it needs


PAIRS = ['message', '--count', '50', '--seconds', '2']
MEASURES = {
    'idle': Measure('memory of an idle session', 'KB', ['idle', '--count', '1000'], 'bytes_per_session', 'fresh'),
    'idle-tls': Measure('the same with TLS', 'KB', ['idle', '--tls', '--count', '1000'], 'bytes_per_session', 'fresh'),
    'login': Measure('login', 'us', ['login', '--count', '500'], 'us_per_login'),
    'login-tls': Measure('login with TLS', 'us', ['login', '--tls', '--count', '500'], 'us_per_login'),
    'message': Measure('1:1 message, one in flight on each of 50 pairs', 'us', PAIRS, 'us_per_message'),
    'message-8': Measure('1:1 message, eight in flight', 'us', [*PAIRS, '--window', '8'], 'us_per_message'),
    'message-tls': Measure('1:1 message over TLS, one in flight', 'us', [*PAIRS, '--tls'], 'us_per_message'),
    'message-crowd': Measure('1:1 message, one in flight, beside 4,000 sessions that do nothing', 'us', [*PAIRS, '--crowd', '4000'],
                             'us_per_message', once=True),
    'message-privacy': Measure('1:1 message, each with a privacy list of 500 items that do not match', 'us', [*PAIRS, '--privacy', '500'],
                               'us_per_message', once=True),
    'message-s2s': Measure('1:1 message to another server of the kind, over TLS with dialback; both servers together', 'us', PAIRS,
                           'us_per_message', 'paired'),
    'carbons': Measure('1:1 message with copies to three devices, one in flight on each of 50 pairs', 'us',
                       ['carbons', '--count', '50', '--seconds', '2'], 'us_per_message'),
    'ping': Measure('ping IQ', 'us', ['ping', '--count', '50', '--seconds', '2'], 'us_per_ping'),
    'fanout': Measure('presence to 100 contacts, each', 'us', ['fanout', '--prefix', 'f', '--count', '100', '--rounds', '200'],
                      'us_per_presence', prefix='f'),
    'fanout-1000': Measure('presence to 1,000 contacts, each', 'us', ['fanout', '--prefix', 'c', '--count', '1000', '--rounds', '20'],
                           'us_per_presence', once=True, prefix='c'),
    'roster': Measure('login and a roster of 1,000 items', 'us', ['roster', '--prefix', 'r', '--count', '1000', '--rounds', '20'],
                      'us_per_roster', once=True, prefix='r'),
    'store': Measure('offline message stored', 'us', ['offline', '--prefix', 'o', '--count', '50', '--each', '80'], 'us_per_stored',
                     once=True, also={'deliver': 'us_per_delivered'}, prefix='o'),
    'deliver': Measure('offline message delivered', 'us', None, 'us_per_delivered'),
    'archive': Measure('1:1 message, one in flight, the archive on both sides (XEP-0313)', 'us', [*PAIRS, '--drain'], 'us_per_message', 'archive'),
    'archive-8': Measure('the same, eight in flight', 'us', [*PAIRS, '--window', '8', '--drain'], 'us_per_message', 'archive'),
    'mam-page': Measure('page of 50 from an archive of 1,000,000', 'us', ['mam', '--count', '100', '--seconds', '5'], 'us_per_page', 'full'),
    'resume': Measure('resume storm: 5,000 clients lose their streams and resume them (XEP-0198), each', 'us',
                      ['storm', '--count', str(STORM), '--users', '1000'], 'us_per_resumed', once=True,
                      also={'resume-time': 'seconds'}),
    'resume-time': Measure('until the last of them was back, by the clock', 's', None, 'seconds'),
}


def load(server, options, command):
    """Runs the load generator; returns its answer."""
    pids = server.pids() + (server.other.pids() if server.other else [])
    full = [str(Path(options.build) / 'bench/load'), *command, '--port', str(server.port), '--domain', server.domain, '--mechanism',
            server.mechanism, '--keys', str(server.dir / 'keys'), '--pids', ','.join(map(str, pids))]
    if server.other:
        full += ['--far-port', str(server.other.port), '--far-domain', server.other.domain]
    if server.raw:
        full.append('--raw')
        if command[0] == 'fanout':
            full[full.index('--port') + 1] = str(server.port + 1)
    done = subprocess.run(full, capture_output=True, text=True, timeout=LOAD_SECONDS)
    if done.returncode:
        raise RuntimeError(done.stderr.strip().removeprefix('load: '))
    return json.loads(done.stdout)


def measure(server, options, key):
    """{measure: figure}"""
    what = MEASURES[key]
    repeat = 1 if what.phase == 'fresh' or what.once else min(server.repeat, options.repeat)
    command = [*what.command, '--filled'] if server.rosters and key in ('roster', 'fanout-1000') else what.command
    answers = [load(server, options, command) for _ in range(repeat)]
    fields = {key: what.answer, **what.also}
    found = {name: statistics.median(a[f] for a in answers) for name, f in fields.items()}
    if what.unit == 'KB':
        found[key] /= 1024
    return found
