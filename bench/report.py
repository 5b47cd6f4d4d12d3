"""What has been seen, as Markdown: the table of all measures, the aims that the issues name, and the page that holds both."""
import datetime
import os
import platform
import re
from pathlib import Path

import chart
from measures import MEASURES
from servers import ROOT

PAGE = ROOT / 'docs/performance.md'
PICTURE = PAGE.with_suffix('.svg')
MARK = '<!-- from here on written by bench/run.py -->'


def seen(key, server='jackdaw'):
    """How an aim gets its figure: from the results of one measure."""
    return lambda results: results[server][key]


def ratio(key, to):
    return lambda results: results['jackdaw'][key] / results['jackdaw'][to]


def more(key, than, server='jackdaw'):
    return lambda results: results[server][key] - results[server][than]


# (issue, what, figure, at most, unit); issue 2's are for one process, as jabberd2's and the peers' figures there
AIMS = [
    (2, MEASURES['message'].title, seen('message'), 12, 'us'),
    (2, MEASURES['message-8'].title, seen('message-8'), 4, 'us'),
    (2, MEASURES['message-tls'].title, seen('message-tls'), 20, 'us'),
    (2, MEASURES['fanout'].title, seen('fanout'), 3, 'us'),
    (2, MEASURES['ping'].title, seen('ping'), 10, 'us'),
    (2, MEASURES['login'].title, seen('login'), 200, 'us'),
    (2, MEASURES['login-tls'].title, seen('login-tls'), 700, 'us'),
    (2, MEASURES['store'].title, seen('store'), 30, 'us'),
    (2, MEASURES['deliver'].title, seen('deliver'), 10, 'us'),
    (2, MEASURES['idle'].title, seen('idle'), 6, 'KB'),
    (2, 'memory of an idle session with TLS', seen('idle-tls'), 22, 'KB'),
    (2, 'cost does not grow with the number of sessions: a message beside 4,000 others, to one without them', ratio('message-crowd', 'message'),
     1.1, 'times'),
    (3, 'five processes: ' + MEASURES['message'].title, seen('message', 'jackdaw-processes'), 35, 'us'),
    (3, 'a message to another server, both together, to a local one', ratio('message-s2s', 'message'), 2, 'times'),
    (5, 'what the archive adds to a message, one in flight, SQLite', more('archive', 'message'), 15, 'us'),
    (5, 'what the archive adds to a message, eight in flight, SQLite', more('archive-8', 'message-8'), 15, 'us'),
    (5, 'what the archive adds to a message, one in flight, PostgreSQL and its processes', more('archive', 'message', 'jackdaw-postgres'), 15, 'us'),
    (5, 'what the archive adds to a message, eight in flight, PostgreSQL and its processes', more('archive-8', 'message-8', 'jackdaw-postgres'),
     15, 'us'),
    (5, MEASURES['mam-page'].title + ', SQLite', seen('mam-page'), 2000, 'us'),
    (5, MEASURES['mam-page'].title + ', PostgreSQL and its processes', seen('mam-page', 'jackdaw-postgres'), 2000, 'us'),
]


def number(value):
    return f'{value:.0f}' if value >= 1000 else f'{value:.1f}'


def aims(results):
    lines = ['| issue | aim | at most | seen | met |', '|---|---|---|---|---|']
    for issue, what, figure, most, unit in AIMS:
        try:
            value = figure(results)
        except KeyError:
            lines.append(f'| {issue} | {what} | {most} {unit} | not measured | **no** |')
            continue
        met = 'yes' if value <= most else '**no**'
        lines.append(f'| {issue} | {what} | {most} {unit} | {value:.2f} {unit} | {met} |')
    relay = [f'{MEASURES[k].title} {v:.1f} us' for k, v in results.get('relay', {}).items()]
    return '\n'.join(lines) + '\n\nWhat the relay takes for the same, which no server can go below: ' + '; '.join(relay) + '.'


class Notes:
    """Why a cell is empty: each reason once, by its letter."""

    def __init__(self):
        self.reasons = []

    def cell(self, reason):
        if reason not in self.reasons:
            self.reasons.append(reason)
        return f'- ({self.letter(self.reasons.index(reason))})'

    @staticmethod
    def letter(i):
        return chr(ord('a') + i) if i < 26 else f'a{i - 25}'

    def __str__(self):
        return '\n'.join(f'- ({self.letter(i)}) {reason}' for i, reason in enumerate(self.reasons))


def table(results, reasons, servers):
    """`reasons`: {server: {measure: why there is no figure}}."""
    notes = Notes()
    lines = ['| processor time (all threads), memory | ' + ' | '.join(s.name for s in servers) + ' |', '|---|' + '---|' * len(servers)]
    for key, what in MEASURES.items():
        cells = [number(results[s.name][key]) if key in results[s.name] else notes.cell(reasons[s.name].get(key, 'not asked for'))
                 for s in servers]
        lines.append(f'| {what.title}, {what.unit} | ' + ' | '.join(cells) + ' |')
    return '\n'.join(lines) + '\n\nWhy a cell is empty:\n\n' + str(notes)


def storage(sqlite, postgres):
    """The answers of bench_store.c."""
    lines = ['| storage alone | waiting | SQLite, us | SQLite, a second | PostgreSQL, us (client alone) | PostgreSQL, a second |',
             '|---|---|---|---|---|---|']
    both = [re.findall(r'^(\D[^ ]*(?: [^ ]+)*?) +window +(\d+) .*? ([\d.]+) us CPU each +(\d+) a second', answer, re.M)
            for answer in (sqlite, postgres)]
    for (what, window, cpu, rate), (_, _, far_cpu, far_rate) in zip(*both):
        lines.append(f'| {what} | {window} | {cpu} | {rate} | {far_cpu} | {far_rate} |')
    return '\n'.join(lines)


def picture(results):
    """The measures that people ask for first, ours beside the three peers."""
    panels = []
    for key in ('message', 'login-tls', 'store', 'archive', 'mam-page', 'idle-tls'):
        values = [(name, results[name][key], name == 'jackdaw') for name in ('jackdaw', 'prosody', 'ejabberd', 'jabberd2') if key in results[name]]
        title = 'memory of an idle session with TLS' if key == 'idle-tls' else MEASURES[key].title
        panels.append((title, {'us': 'us of processor time'}.get(MEASURES[key].unit, MEASURES[key].unit), values))
    PICTURE.write_text(chart.svg(panels))


def machine():
    model = re.search(r'model name\s*:\s*(.*)', Path('/proc/cpuinfo').read_text())
    return f'{os.cpu_count()} x {model[1] if model else platform.machine()}, Linux {platform.release()}, loopback'


def write(figures, goals, alone, servers, minutes):
    before = PAGE.read_text().split(MARK)[0] if PAGE.exists() else '# Performance\n\n'
    versions = '\n'.join(f'- {s.name}: {s.version()}, logins by {s.mechanism}' if not s.raw else
                         f'- {s.name}: {s.version()}' for s in servers)
    PAGE.write_text(f'''{before}{MARK}

Made by `make bench` on {datetime.date.today()} in {minutes:.0f} minutes; {machine()}; load average at the end {os.getloadavg()[2]:.1f}.
All servers in one run, one after the other, each driven by the same load generator on the same machine.

![What messages, logins and sessions cost, beside Prosody, ejabberd and jabberd2]({PICTURE.name})

{versions}

## Aims and what was seen

{goals}

## All figures

{figures}

CPU is the time of all threads of all processes of the server, PostgreSQL's processes among them, system calls included, by the
scheduler's own account (/proc/PID/task/*/schedstat). On loopback the sender of a packet also pays for its reception. Memory is the
growth of the proportional set size for each further session that has sent presence; the kernel's socket memory (4 KB each) is not in it.

jackdaw-processes is the same program as five processes over TCP; jackdaw-threads has two loops in one process; the other columns of
jackdaw are one process. A message to another server costs both servers, which are two of a kind on this machine. The relay only
moves the bytes from one socket to the other, or for presence from one to a hundred: no server can cost less.

An archive is one of SQLite (jackdaw, prosody, ejabberd) or PostgreSQL. Pages are asked for one after the other, from the newest message
on. The storm costs all from the moment the 5,000 connections break, 100 come back at a time; in each a login by SCRAM is contained.
Figures of jackdaw and jackdaw-processes are the median of three runs, where what was set up does not stay; others are one or two runs.

## The storage alone

{alone}
''')
