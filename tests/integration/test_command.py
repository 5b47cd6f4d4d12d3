"""The jackdaw command: users, check, status; with the server running and without."""
import re
import subprocess

import pytest

from conftest import JACKDAW
from raw import WAIT, Closed, Raw, local


def login(server, name, password):
    client = Raw(server.port, server.domain, server.ca)
    client.open()
    client.starttls()
    client.open()
    answer = client.auth_scram(name, password)
    client.close()
    return local(answer) == 'success'


def test_users_while_running(server):
    server.user('alice', 'first')
    assert login(server, 'alice', 'first')
    listed = server.command('user', 'list').stdout
    assert f'alice@{server.domain}' in listed
    server.command('user', 'passwd', f'alice@{server.domain}', '--password-stdin', stdin='second\n')
    assert not login(server, 'alice', 'first')
    assert login(server, 'alice', 'second')
    again = server.command('user', 'add', f'alice@{server.domain}', '--password-stdin', stdin='x\n', check=False)
    assert again.returncode == 1 and f'alice@{server.domain}' in again.stderr
    server.command('user', 'del', f'alice@{server.domain}')
    assert not login(server, 'alice', 'second')
    assert f'alice@{server.domain}' not in server.command('user', 'list').stdout


def test_a_deleted_user_is_disconnected(server):
    server.user('doomed')
    client = server.client('doomed')
    server.command('user', 'del', f'doomed@{server.domain}')
    client.stream_error()


def test_a_disabled_user(server):
    """RFC 6120 section 6.5.1: who is disabled is told so, once the password was right."""
    server.user('idle')
    client = server.client('idle')
    server.command('user', 'disable', f'idle@{server.domain}')
    assert client.stream_error()[0] == 'not-authorized'
    for password, failure in ((server.password, 'account-disabled'), ('wrong', 'not-authorized')):
        client = Raw(server.port, server.domain, server.ca)
        client.open()
        client.starttls()
        client.open()
        answer = client.auth_scram('idle', password)
        assert local(answer) == 'failure' and local(answer[0]) == failure
        client.close()
    server.command('user', 'enable', f'idle@{server.domain}')
    assert login(server, 'idle', server.password)
    assert server.command('user', 'disable', f'nobody@{server.domain}', check=False).returncode == 1


def test_a_generated_password_works(server):
    out = server.command('user', 'add', f'gen@{server.domain}').stdout
    words = re.findall(r'\S{10,}', out)
    assert any(login(server, 'gen', word) for word in words), out


def test_users_without_the_server(own_server):
    server = own_server()
    server.user('alice')
    assert f'alice@{server.domain}' in server.command('user', 'list').stdout
    server.start()
    assert login(server, 'alice', server.password)
    server.stop()
    server.command('user', 'del', f'alice@{server.domain}')
    assert f'alice@{server.domain}' not in server.command('user', 'list').stdout


@pytest.mark.parametrize('jid', ['', 'no-domain', '@jackdaw.test', 'a b@jackdaw.test', 'a@jackdaw.test/r'])
def test_bad_jids_are_refused_with_a_reason(own_server, jid):
    server = own_server()
    done = server.command('user', 'add', jid, '--password-stdin', stdin='x\n', check=False)
    assert done.returncode in (1, 2) and len(done.stderr) > 10


def test_a_domain_not_served_is_pointed_out(own_server):
    server = own_server()
    done = server.command('user', 'add', 'x@elsewhere.test', '--password-stdin', stdin='x\n')
    assert 'elsewhere.test' in done.stderr and server.domain in done.stderr


def test_import(own_server):
    server = own_server()
    csv = server.data / 'users.csv'
    csv.write_text(''.join(f'user{i}@{server.domain},password {i}\n' for i in range(300)))
    server.command('user', 'import', str(csv))
    assert len(re.findall(r'user\d+@', server.command('user', 'list').stdout)) == 300
    server.start()
    assert login(server, 'user299', 'password 299')
    server.stop()


def test_import_says_which_line_is_wrong(own_server):
    server = own_server()
    csv = server.data / 'users.csv'
    csv.write_text(f'good@{server.domain},x\nbad line\n')
    done = server.command('user', 'import', str(csv), check=False)
    assert done.returncode == 1 and '2' in done.stderr


def test_status_names_components_and_sessions(server):
    server.user('counted')
    client = server.client('counted')
    client.send('<presence/>')
    client.ping()
    status = server.status()
    for name in ('router', 'sm', 'c2s'):
        process = server.of(name)
        assert status['components'][name]['pid'] == process.popen.pid
    text = server.command('status').stdout
    assert 'c2s' in text and 'sm' in text
    client.end()


def test_status_without_a_server(own_server):
    done = own_server().command('status', check=False)
    assert done.returncode == 1 and len(done.stderr) > 10


def test_check_accepts_the_defaults(own_server):
    server = own_server()
    server.command('check')


def test_status_is_for_people(server):
    shown = server.command('status').stdout
    assert not set('{}[]"') & set(shown), shown
    for line in ('sm', '  links', '    id sm, peer ', '    names                      sm ', '  balance                      accepted '):
        assert any(found.startswith(line) for found in shown.splitlines()), f'{line!r} is not there:\n{shown}'


@pytest.mark.parametrize('command', [['status'], ['top'], ['reload'], ['s2s', 'list'], ['log', 'level'], ['trace', 'a@b.test', '--last', '1']])
def test_asking_makes_nothing(tmp_path, command):
    """Who names the wrong directory is told so, and finds no new one there."""
    folder = tmp_path / 'none'
    done = subprocess.run([JACKDAW, *command, '--data', str(folder)], capture_output=True, text=True, timeout=20, stdin=subprocess.DEVNULL)
    assert done.returncode == 1
    assert str(folder) in done.stderr and '--data' in done.stderr
    assert not folder.exists()


@pytest.mark.parametrize('text, told', [
    ('c2s {\n  prot = 5222\n}\n', ['2', 'prot']),
    ('c2s {\n  port = 99999\n}\n', ['2', '65535']),
    ('c2s {\n  tls = maybe\n}\n', ['2', 'required']),
    ('c2s {\n  port = 5222\n', ['c2s.conf']),
    ('c2s {\n  resume_location = "[::1"\n}\n', ['c2s.resume_location', 'HOST:PORT']),
    ('c2s {\n  resume_location = "[::1]5222"\n}\n', ['c2s.resume_location', 'HOST:PORT']),
    ('c2s {\n  resume_location = "example.org:0"\n}\n', ['c2s.resume_location', 'HOST:PORT']),
])
def test_check_names_line_and_remedy(tmp_path, text, told):
    path = tmp_path / 'c2s.conf'
    path.write_text(text)
    done = subprocess.run([JACKDAW, 'check', '--config', str(path), '--data', str(tmp_path / 'data')], capture_output=True, text=True,
                          timeout=WAIT)
    assert done.returncode == 1
    for part in told:
        assert part in done.stderr, done.stderr


def test_unknown_setting_on_the_command_line(tmp_path):
    done = subprocess.run([JACKDAW, 'check', '--set', 'c2s.nothing=1', '--data', str(tmp_path)], capture_output=True, text=True,
                          timeout=WAIT)
    assert done.returncode == 1 and 'nothing' in done.stderr
