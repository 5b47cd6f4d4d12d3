"""Administration from the shell on the running server: accounts, sessions, announcements, log level, top, manual pages."""
import asyncio
import json
import os
import pty
import re
import select
import subprocess

from conftest import JACKDAW, need
from raw import WAIT, Raw, local
from test_two_users import Person


def login(server, name):
    client = Raw(server.port, server.domain, server.ca)
    client.open()
    client.starttls()
    client.open()
    answer = client.auth_scram(name, server.password)
    client.close()
    return local(answer) == 'success'


def on_terminal(server, *arguments):
    """What a command says to a person."""
    master, slave = pty.openpty()
    done = subprocess.run([JACKDAW, *arguments, *server.options()], stdin=slave, stdout=slave, timeout=WAIT, check=True)
    os.close(slave)
    text = os.read(master, 65536).decode()
    os.close(master)
    assert done.returncode == 0
    return text


def test_disabled_accounts_cannot_log_in(own_server):
    server = own_server().start()
    jid = f'romeo@{server.domain}'
    server.user('romeo')
    client = server.client('romeo')
    server.command('user', 'disable', jid)
    client.stream_error()
    assert not login(server, 'romeo')
    listed = json.loads(server.command('user', 'list', '--json').stdout)
    assert [a['disabled'] for a in listed if a['jid'] == jid] == [True]
    server.stop()
    server.start()
    assert not login(server, 'romeo')
    server.command('user', 'enable', jid)
    assert login(server, 'romeo')
    # a person at a terminal sees since when; a script has an address a line
    assert server.command('user', 'list').stdout == f'{jid}\n'
    shown = on_terminal(server, 'user', 'list')
    assert re.match(rf'{jid}  made 20\d\d-\d\d-\d\dT', shown) and 'disabled' not in shown
    missing = server.command('user', 'disable', f'nobody@{server.domain}', check=False)
    assert missing.returncode == 1 and 'no account' in missing.stderr


def test_sessions_and_kick(server):
    server.user('kicked')
    jid = f'kicked@{server.domain}'
    one, two = server.client('kicked', 'one'), server.client('kicked', 'two')
    sessions = json.loads(server.command('user', 'sessions', jid, '--json').stdout)
    assert sorted(s['jid'] for s in sessions) == [f'{jid}/one', f'{jid}/two'] and all(s['tls'] for s in sessions)
    assert f'{jid}/one' in server.command('user', 'sessions').stdout
    server.command('user', 'kick', f'{jid}/one')
    one.stream_error()
    assert [s['jid'] for s in json.loads(server.command('user', 'sessions', jid, '--json').stdout)] == [f'{jid}/two']
    server.command('user', 'kick', jid)
    two.stream_error()
    again = server.command('user', 'kick', jid, check=False)
    assert again.returncode == 1 and 'not connected' in again.stderr


def test_what_an_account_has(server):
    async def fill():
        person = Person(server, 'owner', server.password)
        person.register_plugin('xep_0054')
        await person.come()
        await person.update_roster(f'friend@{server.domain}', name='A Friend')
        card = person['xep_0054'].make_vcard()
        card['FN'] = 'The Owner'
        await person['xep_0054'].publish_vcard(card)
        await person.leave()

    server.user('owner')
    jid = f'owner@{server.domain}'
    assert 'never' in server.command('user', 'last', jid).stdout
    asyncio.run(fill())
    roster = server.command('user', 'roster', jid).stdout
    assert f'friend@{server.domain}' in roster and 'A Friend' in roster
    assert 'The Owner' in server.command('user', 'vcard', jid).stdout
    assert 'T' in server.command('user', 'last', jid).stdout


def test_announce_and_motd(own_server):
    server = own_server().start()
    for name in ('here', 'later'):
        server.user(name)

    async def first():
        here = await Person(server, 'here', server.password).come()
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, lambda: server.command('announce', '--online', 'now'))
        assert (await here.message())['body'] == 'now'
        await loop.run_in_executor(None, lambda: server.command('announce', 'today'))
        assert (await here.message())['body'] == 'today'
        await here.leave()

    asyncio.run(first())
    assert 'today' in server.command('motd').stdout
    server.stop()
    server.start()

    async def second():
        later = await Person(server, 'later', server.password).come()
        assert (await later.message())['body'] == 'today'
        await later.leave()

    asyncio.run(second())
    server.command('motd', 'delete')
    assert 'today' not in server.command('motd').stdout
    server.stop()
    server.command('motd', 'set', 'without a server')
    assert 'without a server' in server.command('motd').stdout
    assert server.command('announce', '--online', 'x', check=False).returncode == 1


def test_log_level(server):
    assert 'info' in server.command('log', 'level').stdout
    assert 'debug' in server.command('log', 'level', 'debug').stdout
    assert 'debug' in server.command('log', 'level').stdout
    assert server.command('log', 'level', 'loud', check=False).returncode == 1
    server.command('log', 'level', 'info')


def test_top(server):
    server.user('watched')
    client = server.client('watched')
    picture = server.command('top').stdout
    assert 'sm ' in picture and 'c2s ' in picture and f'watched@{server.domain}' in picture and '\033' not in picture
    master, slave = pty.openpty()
    top = subprocess.Popen([JACKDAW, 'top', *server.options()], stdin=slave, stdout=slave, stderr=subprocess.STDOUT,
                           env={**os.environ, 'TERM': 'xterm'})
    os.close(slave)
    seen = b''

    def until(text):
        nonlocal seen
        while text not in seen:
            assert select.select([master], [], [], 30)[0], seen
            seen += os.read(master, 65536)
        seen = seen[seen.index(text) + len(text):]

    until(b'watched@')
    until(b'stanzas/s')  # the second picture knows rates
    os.write(master, b's')
    until(b'busiest')
    os.write(master, b'q')
    until(b'\033[?1049l')
    assert top.wait(WAIT) == 0
    os.close(master)
    client.close()


def test_pages_and_completion():
    need('man', 'man-db')
    need('zsh', 'zsh')
    for page, name in (('jackdaw', 'JACKDAW 1'), ('jackdaw.conf', 'JACKDAW.CONF 5')):
        text = subprocess.run([JACKDAW, 'man', page], capture_output=True, text=True, check=True).stdout
        assert text.startswith(f'.TH {name}')
        made = subprocess.run(['man', '--warnings', '-l', '-'], input=text, capture_output=True, text=True, check=True)
        assert made.stderr == ''
    script = subprocess.run([JACKDAW, 'completion', 'bash'], capture_output=True, text=True, check=True).stdout

    def complete(*words):
        line = ' '.join(f"'{w}'" for w in words)
        test = f'{script}\nCOMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; _jackdaw; printf "%s\\n" "${{COMPREPLY[@]}}"'
        return subprocess.run(['bash', '-c', test], capture_output=True, text=True, check=True).stdout.split()

    assert complete('jackdaw', 'st') == ['status']
    assert 'disable' in complete('jackdaw', 'user', '')
    assert complete('jackdaw', 'motd', 'u') == ['update']
    assert set(complete('jackdaw', 'import', '')) == {'jabberd2', 'ejabberd', 'prosody', 'xep0227'}
    assert complete('jackdaw', 'user', 'devices', 'a') == []  # nothing but commands
    assert '--data' in complete('jackdaw', 'status', '--d')
    assert complete('jackdaw', 'user', 'devices', 'romeo@a.test', '--r') == ['--revoke']
    assert complete('jackdaw', 'import', 'jabberd2', '--dr') == ['--dry-run']

    script = subprocess.run([JACKDAW, 'completion', 'zsh'], capture_output=True, text=True, check=True).stdout
    assert script.startswith('#compdef')

    def complete_zsh(*words):
        """What the script offers; zsh's own part of it, which only shows that, stands in three lines."""
        line = ' '.join(f"'{w}'" for w in words)
        test = ('compadd() { shift; print -rl -- "$@" }; _files() { }; _describe() { print -rl -- ${(P)2} };'
                f'words=({line}); CURRENT={len(words)}\n{script}')
        return subprocess.run(['zsh', '-f', '-c', test], capture_output=True, text=True, check=True).stdout.splitlines()

    assert 'status:show the running server\\: components, sessions, queues, counters' in complete_zsh('jackdaw', 'st')
    assert {'disable', 'devices', '--revoke', '--data'} <= set(complete_zsh('jackdaw', 'user', ''))
    assert 'all' not in complete_zsh('jackdaw', 'user', '') and 'disable' not in complete_zsh('jackdaw', 'user', 'list', '')
