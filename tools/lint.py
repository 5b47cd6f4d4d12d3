#!/usr/bin/env python3
"""What a machine can check about taste (CONTRIBUTING.md, "Style"): tools/lint.py BUILD_DIR [CHECK ...]

BUILD_DIR is a finished gcc build without sanitizers; its compile_commands.json and object files are looked at.
Every complaint is one line: file:line: what is wrong, and what to write instead. Exit code 1 when there is any.
"""
import concurrent.futures
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MAX_FUNCTION = 80
MAX_FILE = {'src': 800, 'tests': 1000, 'bench': 800}
# Lowest first: a file may include headers of its own layer and of those before it.
LAYERS = ['base', 'loop', 'net', 'xml', 'xmpp', 'link', 'store', 'config', 'component']
COMPONENTS = ['router', 'c2s', 'sm', 'resolver', 's2s']
MOVE = 'move'  # between servers: above the layers, used by the command alone
TOP = ['cli']

# name -> (what to use instead, files that may use it all the same)
BANNED = {
    'strcpy': ('memcpy with a checked length, or struct str', ()),
    'strcat': ('struct buffer', ()),
    'strncpy': ('memcpy with a checked length', ()),
    'strncat': ('struct buffer', ()),
    'sprintf': ('snprintf or buffer_printf', ()),
    'vsprintf': ('vsnprintf', ()),
    'gets': ('fgets', ()),
    'strtok': ('str_split', ()),
    'atoi': ('str_to_u64', ()),
    'atol': ('str_to_u64', ()),
    'atoll': ('str_to_u64', ()),
    'alloca': ('an array of fixed size, or mem_alloc', ()),
    'malloc': ('mem_alloc (base/mem.h)', ('src/base/mem.c',)),
    'calloc': ('mem_alloc_array (base/mem.h)', ('src/base/mem.c',)),
    'realloc': ('mem_realloc (base/mem.h)', ('src/base/mem.c',)),
    'strdup': ('mem_strdup (base/mem.h)', ('src/base/mem.c',)),
    'strndup': ('mem_strndup (base/mem.h)', ('src/base/mem.c',)),
    'sleep': ('a loop timer', ()),
    'usleep': ('a loop timer', ()),
    'nanosleep': ('a loop timer', ()),
    'select': ('net/', ()),
    'poll': ('net/', ('src/store/postgres_conn.c',)),  # while closing, and on a simulated clock: libpq's socket
    'system': ('nothing: no shells', ()),
    'popen': ('nothing: no shells', ()),
    'gethostbyname': ('an address; names are for the resolver', ()),
    'getaddrinfo': ('an address; names are for the resolver', ()),
    'rand': ('base/random.h', ()),
    'srand': ('base/random.h', ()),
    'random': ('base/random.h', ()),
    'drand48': ('base/random.h', ()),
    'getrandom': ('base/random.h', ('src/base/random.c',)),
    'RAND_bytes': ('base/random.h', ('src/net/tls_cert.c',)),
    'time': ('loop_wall or loop_now', ('src/base/log.c',)),
    'gettimeofday': ('loop_wall or loop_now', ()),
    'clock_gettime': ('loop_wall or loop_now', ('src/base/log.c',)),
    'localtime': ('gmtime_r', ()),
    'gmtime': ('gmtime_r', ()),
}
# The seams: code that may reach the operating system for what the others get through it. The command itself (cli/) is a
# process of its own that talks with a person: it may ask for the time and connect to a control socket.
SEAMS = {
    'src/loop/': ('time', 'gettimeofday', 'clock_gettime'),
    'src/cli/': ('time', 'clock_gettime'),
}
# Raw sockets belong to net/; the command's client of the control socket is the one other place.
SOCKET_CALLS = {'socket', 'bind', 'listen', 'accept', 'accept4', 'connect', 'recv', 'recvmsg', 'sendmsg'}
SOCKET_PLACES = ('src/net/', 'src/cli/')
# expat's allocation functions get no context: the one thread-local there is carries it for the length of a call.
GLOBALS_ALLOWED = {('src/xml/lane.c', 'account')}
UNFINISHED = re.compile(r'\b(TODO|FIXME|XXX|HACK)\b|\b[Ff]or now\b')


class Report:
    def __init__(self):
        self.lines = []

    def add(self, path, line, text):
        self.lines.append(f'{path}:{line}: {text}')


def tracked(*suffixes):
    """Files that git knows or would add, below the folders that hold code."""
    out = subprocess.run(['git', '-c', 'safe.directory=*', 'ls-files', '-co', '--exclude-standard'], cwd=ROOT, check=True,
                         capture_output=True, text=True).stdout.split('\n')
    return sorted(f for f in out if f.endswith(suffixes) and (ROOT / f).is_file())


def read(path):
    return (ROOT / path).read_text(encoding='utf-8')


def strip(text):
    """C without comments and string contents; line numbers stay."""
    def blank(m):
        s = m.group(0)
        if s[0] == '/':
            return re.sub(r'[^\n]', ' ', s)
        return s[0] + ' ' * (len(s) - 2) + s[-1]
    return re.sub(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', blank, text, flags=re.S)


def check_format(report, build):
    files = tracked('.c', '.h')
    for i in range(0, len(files), 60):
        run = subprocess.run(['clang-format', '--dry-run', '-Werror', *files[i:i + 60]], cwd=ROOT,
                             capture_output=True, text=True)
        for m in re.finditer(r'^(\S+?):(\d+):\d+: error', run.stderr, re.M):
            report.add(m[1], m[2], 'not formatted: run `make format`')


def check_layers(report, build):
    allowed = {}
    for i, layer in enumerate(LAYERS):
        allowed[layer] = set(LAYERS[:i + 1])
    for component in COMPONENTS:
        allowed[component] = set(LAYERS) | {component}
    allowed[MOVE] = set(LAYERS) | {MOVE}
    for top in TOP:
        allowed[top] = set(LAYERS) | {MOVE, top}
    for path in tracked('.c', '.h', '.def'):
        parts = path.split('/')
        if parts[0] != 'src' or len(parts) < 3:
            continue
        layer = parts[1]
        if layer not in allowed:
            report.add(path, 1, f'folder src/{layer} is no layer: name it in tools/lint.py')
            continue
        for number, line in enumerate(read(path).split('\n'), 1):
            m = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
            if not m:
                continue
            if '/' not in m[1]:
                report.add(path, number, f'#include "{m[1]}": write the path from src/, e.g. "{layer}/{m[1]}"')
                continue
            target = m[1].split('/')[0]
            if target not in allowed[layer]:
                report.add(path, number, f'{layer}/ may not include {target}/ (layers, lowest first: '
                           f'{" ".join(LAYERS)}, then the components side by side, then cli)')


def check_banned(report, build):
    call = re.compile(r'(?<![\w.>])([A-Za-z_]\w*)\s*\(')
    for path in tracked('.c', '.h'):
        if not path.startswith('src/'):
            continue
        text = strip(read(path))
        own = set(re.findall(r'^static [^;{}()=]*?\b(\w+)\(', text, re.M))  # a function of the file's own
        for number, line in enumerate(text.split('\n'), 1):
            for m in call.finditer(line):
                name = m[1]
                if name in own:
                    continue
                if re.search(r'\b(void|int|bool|char|long|size_t|uint\w+|struct \w+)\s*\*?\s*$', line[:m.start()]):
                    continue  # a declaration, such as a member or function of that name
                if name in BANNED:
                    instead, places = BANNED[name]
                    seam = any(path.startswith(p) and name in names for p, names in SEAMS.items())
                    if path not in places and not seam:
                        report.add(path, number, f'{name}() is banned: use {instead}')
                elif name in SOCKET_CALLS and not path.startswith(SOCKET_PLACES):
                    report.add(path, number, f'{name}() belongs to net/: go through net/net.h')


def check_sizes(report, build):
    files = tracked('.c', '.h')
    for path in files:
        lines = read(path).count('\n')
        limit = MAX_FILE.get(path.split('/')[0], 800)
        if lines > limit:
            report.add(path, lines, f'{lines} lines; at most {limit}: a file holds one idea, split it')
    tags = subprocess.run(['ctags', '--languages=C', '--langmap=C:.c.h', '--kinds-C=f', '--fields=+ne', '--sort=no',
                           '-f', '-', *files], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for line in tags.split('\n'):
        fields = line.split('\t')
        if len(fields) < 4 or line.startswith('!'):
            continue
        start = next((int(f[5:]) for f in fields if f.startswith('line:')), None)
        end = next((int(f[4:]) for f in fields if f.startswith('end:')), None)
        if start and end and end - start + 1 > MAX_FUNCTION:
            report.add(fields[1], start, f'{fields[0]} is {end - start + 1} lines; at most {MAX_FUNCTION}')


def check_names(report, build):
    seen = {}
    for path in tracked('.c', '.h', '.def'):
        name = os.path.basename(path)
        if name in seen:
            report.add(path, 1, f'basename also used by {seen[name]}: basenames are unique, so a stack trace is a map')
        seen[name] = path


def check_unfinished(report, build):
    for path in tracked('.c', '.h', '.def', '.py', '.sh', '.build', '.scn'):
        if path == 'tools/lint.py':
            continue
        for number, line in enumerate(read(path).split('\n'), 1):
            m = UNFINISHED.search(line)
            if m:
                report.add(path, number, f'"{m[0]}": finish it, or say what is so and why')


def check_globals(report, build):
    """No globals that change: every object a source file of ours defines lies in a read-only section."""
    commands = json.loads((Path(build) / 'compile_commands.json').read_text())
    for entry in commands:
        source = os.path.relpath(os.path.join(entry['directory'], entry['file']), ROOT)
        output = Path(entry['directory']) / entry['output']
        if not source.startswith('src/') or not output.exists():
            continue
        table = subprocess.run(['objdump', '-t', output], check=True, capture_output=True, text=True).stdout
        for line in table.split('\n'):
            m = re.match(r'^[0-9a-f]+ .{5}(.)[O ] (\S+)\s+[0-9a-f]+ (?:\.hidden )?(\S+)$', line)
            if not m or m[2].startswith(('.text', '.rodata', '.data.rel.ro', '.debug', '.note', '*UND*')):
                continue
            if m[2].startswith(('.data', '.bss', '.tdata', '.tbss')) or m[2] == '*COM*':
                if m[3].startswith('.') or (source, m[3]) in GLOBALS_ALLOWED:
                    continue
                report.add(source, 1, f'{m[3]} is a variable that changes ({m[2]}): state belongs to an instance')


def check_comments(report, build):
    """A paragraph at the top of each file says what it is for; headers are guarded by their path."""
    for path in tracked('.c', '.h'):
        text = read(path)
        if not text.startswith('/*'):
            report.add(path, 1, 'begin with a comment that says what the file is for')
        if path.startswith('src/') and path.endswith('.h'):
            guard = 'JACKDAW_' + re.sub(r'\W', '_', path[4:]).upper()
            if f'#ifndef {guard}\n#define {guard}\n' not in text:
                report.add(path, 1, f'guard the header by #ifndef {guard}')


def check_scripts(report, build):
    for path in tracked('.py'):
        try:
            compile(read(path), path, 'exec')
        except SyntaxError as e:
            report.add(path, e.lineno, e.msg)
    for path in tracked('.sh') + ['.ci/run']:
        run = subprocess.run(['bash', '-n', path], cwd=ROOT, capture_output=True, text=True)
        if run.returncode:
            report.add(path, 1, run.stderr.strip())


def tidy_database(build, commands):
    """A compile database for clang: without the one flag of gcc's that it refuses. Returns its directory."""
    directory = os.path.join(build, 'lint')
    os.makedirs(directory, exist_ok=True)
    for entry in commands:
        entry['command'] = entry['command'].replace('-ftrivial-auto-var-init=zero ', '')
    Path(directory, 'compile_commands.json').write_text(json.dumps(commands))
    return directory


def check_tidy(report, build):
    commands = json.loads((Path(build) / 'compile_commands.json').read_text())
    files = sorted({os.path.join(e['directory'], e['file']) for e in commands})
    files = [os.path.relpath(f, ROOT) for f in files]
    files = [f for f in files if f.startswith('src/') and (ROOT / f).exists()]
    database = tidy_database(build, commands)

    def tidy(path):
        return subprocess.run(['clang-tidy', '-p', database, '--quiet', '--extra-arg=-Wno-unknown-warning-option', path],
                              cwd=ROOT, capture_output=True, text=True)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 2) as pool:
        seen = set()
        for path, run in zip(files, pool.map(tidy, files)):
            found = re.findall(r'^(\S*?):?(\d*):?\d*:? ?(?:warning|error): (.*)$', run.stdout, re.M)
            for where, line, text in found:
                where = os.path.relpath(os.path.normpath(os.path.join(build, where)), ROOT) if where else path
                if (where, line, text) not in seen:
                    seen.add((where, line, text))
                    report.add(where, line or 1, text)
            if run.returncode and not found:
                report.add(path, 1, 'clang-tidy failed: ' + run.stderr.strip()[-300:])


CHECKS = {
    'format': check_format, 'layers': check_layers, 'banned': check_banned, 'sizes': check_sizes,
    'names': check_names, 'unfinished': check_unfinished, 'comments': check_comments, 'scripts': check_scripts,
    'globals': check_globals, 'tidy': check_tidy,
}


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__.split('\n')[0])
    build = os.path.abspath(sys.argv[1])
    wanted = sys.argv[2:] or list(CHECKS)
    bad = 0
    for name in wanted:
        if name not in CHECKS:
            sys.exit(f'no check "{name}"; there are: {" ".join(CHECKS)}')
        report = Report()
        started = time.monotonic()
        CHECKS[name](report, build)
        print(f'lint {name}: {len(report.lines) or "no"} complaints ({time.monotonic() - started:.1f} s)', flush=True)
        for line in report.lines:
            print('  ' + line)
        bad += len(report.lines)
    print('lint: ' + (f'{bad} complaints' if bad else 'clean'))
    return 1 if bad else 0


if __name__ == '__main__':
    sys.exit(main())
