"""Who knows the passwords: a program with jabberd2's pipe protocol, OpenLDAP, PAM, nobody (XEP-0175)."""
import asyncio
import os
import sqlite3
import subprocess
import time
from pathlib import Path

import pytest
import slixmpp

from conftest import DOMAIN, PASSWORD, Server, free_port, need
from raw import NS, WAIT, Raw, local
from sasl2 import BIND2, FAST, S2, Sasl2, agent, b64, condition

PROGRAM = '''#!/usr/bin/python3
import base64, json, os, signal, sys, time
path = sys.argv[1]
users = lambda: json.load(open(path))
def save(u):
    json.dump(u, open(path + '.new', 'w')); os.rename(path + '.new', path)
print('OK ' + sys.argv[2].replace(':', ' '), flush=True)
for line in sys.stdin:
    command, *a = line.split()
    u = users()
    key = f'{a[0]}@{a[-1]}' if a else ''
    say = 'NO'
    if command == 'CHECK-PASSWORD':
        password = base64.b64decode(a[1]).decode()
        if password == 'die': os.kill(os.getpid(), signal.SIGKILL)
        if password == 'hang': time.sleep(600)
        if password == 'babble': say = 'PERHAPS'
        elif u.get(key) == password: say = 'OK'
    elif command == 'GET-PASSWORD' and key in u: say = 'OK ' + base64.b64encode(u[key].encode()).decode() + '\\n'
    elif command == 'USER-EXISTS' and key in u: say = 'OK'
    elif command == 'CREATE-USER' and key not in u: u[key] = ''; save(u); say = 'OK'
    elif command == 'SET-PASSWORD' and key in u: u[key] = base64.b64decode(a[1]).decode(); save(u); say = 'OK'
    elif command == 'DELETE-USER' and key in u: del u[key]; save(u); say = 'OK'
    elif command == 'FREE': break
    print(say, flush=True)
'''
ALL = 'USER-EXISTS,CHECK-PASSWORD,SET-PASSWORD,CREATE-USER,DELETE-USER,FREE'


@pytest.fixture
def program(own_server, tmp_path):
    def make(commands=ALL, *settings):
        path = tmp_path / 'program'
        path.write_text(PROGRAM)
        path.chmod(0o755)
        (tmp_path / 'users').write_text(f'{{"romeo@{DOMAIN}": "{PASSWORD}", "juliet@{DOMAIN}": "capulet \u00fc"}}')
        server = own_server("auth.driver=program", f"auth.program={path},{tmp_path}/users,{commands.replace(chr(44), chr(58))}",
                            'auth.copies=2', 'auth.timeout=6', *settings)
        return server.start()
    return make


def failure(server, name, password, mechanism='PLAIN'):
    """The condition a login fails with."""
    c = Raw(server.port, server.domain, server.ca)
    c.open()
    c.starttls()
    c.open()
    answer = c.auth_plain(name, password) if mechanism == 'PLAIN' else c.auth_scram(name, password, mechanism)
    c.close()
    assert local(answer) == 'failure', answer
    return local(answer[0])


def offered(server, domain=DOMAIN):
    c = Raw(server.port, domain, server.ca)
    c.open()
    c.starttls()
    names = c.mechanisms(c.open())
    c.close()
    return set(names)



def login(server, name, password):
    c = Raw(server.port, server.domain, server.ca)
    c.login(name, password, mechanism='PLAIN')
    return c


def test_a_program_checks_passwords(program):
    server = program()
    assert offered(server) == {'PLAIN'}
    romeo, juliet = login(server, 'romeo', PASSWORD), login(server, 'juliet', 'capulet ü')
    assert failure(server, 'romeo', 'wrong') == failure(server, 'nobody', PASSWORD) == 'not-authorized'
    juliet.send('<presence/>')
    juliet.ping()
    romeo.send(f"<message to='juliet@{DOMAIN}'><body>soft</body></message>")
    assert juliet.wait_for('message').findtext('c:body', namespaces=NS) == 'soft'
    assert failure(server, 'romeo', PASSWORD, 'SCRAM-SHA-256') == 'invalid-mechanism'
    server.stop()


def test_a_program_and_sasl2(program):
    """XEP-0388 by PLAIN, with a resource in the same step; a token would outlive what the program revokes."""
    server = program()
    login(server, 'romeo', PASSWORD).ping()  # the session manager is there
    client = Sasl2(server)
    features = client.begin('romeo')
    assert client.offered() == ['PLAIN']
    assert features.find(f'.//{{{FAST}}}fast') is None
    for password in 'wrong', PASSWORD:
        answer = b64(f'\0romeo\0{password}'.encode())
        client.send(f"<authenticate xmlns='{S2}' mechanism='PLAIN'><initial-response>{answer}</initial-response>{agent(1)}"
                    f"<request-token xmlns='{FAST}' mechanism='HT-SHA-256-NONE'/><bind xmlns='{BIND2}'/></authenticate>")
        success = client.next()
        if password == 'wrong':
            assert condition(success) == 'not-authorized'
    assert local(success) == 'success'
    assert success.find(f'{{{BIND2}}}bound') is not None and success.find(f'{{{FAST}}}token') is None
    assert local(client.next()) == 'features'
    client.ping()
    client.close()


def test_a_program_that_only_tells_passwords(program):
    server = program('GET-PASSWORD')
    login(server, 'juliet', 'capulet ü').ping()
    assert failure(server, 'juliet', 'capulet') == failure(server, 'nobody', 'x') == 'not-authorized'


def test_registration_through_a_program(program):
    server = program()
    login(server, 'romeo', PASSWORD).ping()  # the session manager is there
    c = Raw(server.port, server.domain, server.ca)
    c.open(), c.starttls(), c.open()
    for name, expected in (('romeo', 'conflict'), ('mercutio', None)):
        c.send(f"<iq type='set' id='{name}'><query xmlns='jabber:iq:register'><username>{name}</username>"
               f"<password>queen mab</password></query></iq>")
        answer = c.wait_for('iq')
        assert (answer.find('st:*', NS) is None and answer.get('type') == 'result') == (expected is None)
        if expected:
            assert answer.find('.//st:' + expected, NS) is not None
    c.close()
    mercutio = login(server, 'mercutio', 'queen mab')
    mercutio.send("<iq type='set' id='p'><query xmlns='jabber:iq:register'><username>mercutio</username>"
                  "<password>new</password></query></iq>")
    assert mercutio.wait_for('iq', id='p').get('type') == 'result'
    assert failure(server, 'mercutio', 'queen mab') == 'not-authorized'
    again = login(server, 'mercutio', 'new')
    again.send("<iq type='set' id='r'><query xmlns='jabber:iq:register'><remove/></query></iq>")
    assert again.wait_for('iq', id='r').get('type') == 'result'
    assert failure(server, 'mercutio', 'new') == 'not-authorized'


def test_registration_where_the_program_cannot(program):
    server = program('CHECK-PASSWORD')
    romeo = login(server, 'romeo', PASSWORD)
    romeo.send("<iq type='set' id='p'><query xmlns='jabber:iq:register'><username>romeo</username>"
               "<password>new</password></query></iq>")
    assert romeo.wait_for('iq', id='p').find('.//st:not-allowed', NS) is not None
    login(server, 'romeo', PASSWORD).ping()


@pytest.mark.parametrize('how', ['die', 'babble', 'hang'])
def test_a_program_that_fails_lets_nobody_in_and_comes_back(program, how):
    server = program()
    romeo = login(server, 'romeo', PASSWORD)
    assert failure(server, 'romeo', how) == 'temporary-auth-failure'
    romeo.ping()  # nobody else noticed
    for _ in range(3):  # both copies, and again
        login(server, 'juliet', 'capulet ü').ping()
    server.stop()


def only_child(pid):
    children = subprocess.run(['pgrep', '-P', str(pid)], capture_output=True, text=True).stdout.split()
    return int(children[0]) if children else None


def helper(server):
    """The process that runs the program: its watcher is the child of c2s. None while there is none."""
    return only_child(only_child(server.of('c2s').popen.pid))


def state(pid):
    try:
        return Path(f'/proc/{pid}/stat').read_text().rsplit(')', 1)[1].split()[0]
    except OSError:
        return 'Z'


def gets_in(server):
    """False: not now; a right password is never called wrong."""
    c = Raw(server.port, server.domain, server.ca)
    c.open(), c.starttls(), c.open()
    answer = c.auth_plain('romeo', PASSWORD)
    c.close()
    assert local(answer) == 'success' or local(answer[0]) == 'temporary-auth-failure'
    return local(answer) == 'success'


def test_the_helper_dies(program):
    server = program()
    romeo = login(server, 'romeo', PASSWORD)
    for _ in range(3):  # at once the first time, then after 250 ms, 500 ms ...
        before = helper(server)
        os.kill(before, 9)
        until = time.monotonic() + WAIT
        while helper(server) in (None, before) or not gets_in(server):
            assert time.monotonic() < until
    romeo.ping()  # nobody else noticed
    watcher = only_child(server.of('c2s').popen.pid)
    last = helper(server)
    server.stop()
    until = time.monotonic() + WAIT
    while any(os.path.exists(f'/proc/{pid}') and state(pid) != 'Z' for pid in (watcher, last)):
        assert time.monotonic() < until, 'they outlive the server'


class Slapd:
    """OpenLDAP from Debian, with one directory of its own."""
    base = 'dc=jackdaw,dc=test'

    def __init__(self, folder, certificate):
        self.port = free_port()
        (folder / 'db').mkdir()
        config = folder / 'slapd.conf'
        config.write_text(f'''include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
TLSCertificateFile {certificate[0]}
TLSCertificateKeyFile {certificate[1]}
database mdb
suffix {self.base}
rootdn cn=admin,{self.base}
rootpw secret
directory {folder}/db
access to attrs=userPassword by anonymous auth by * none
access to * by dn.exact="cn=reader,{self.base}" read by self read by * none
''')
        self.popen = subprocess.Popen(['/usr/sbin/slapd', '-d', '0', '-f', str(config), '-h', f'ldap://127.0.0.1:{self.port}/'],
                                      stderr=subprocess.DEVNULL)
        people = ''.join(f'''
dn: uid={uid},ou=people,{self.base}
objectClass: inetOrgPerson
uid: {uid}
cn: {uid}
sn: {uid}
mail: {mail}
userPassword: {password}
''' for uid, mail, password in (('romeo', 'same@x', PASSWORD), ('juliet', 'same@x', 'capulet'), ('admin\\2a', 'x@x', 'star')))
        ldif = f'''dn: {self.base}
objectClass: dcObject
objectClass: organization
dc: jackdaw
o: test

dn: cn=reader,{self.base}
objectClass: organizationalRole
objectClass: simpleSecurityObject
cn: reader
userPassword: reading

dn: ou=people,{self.base}
objectClass: organizationalUnit
ou: people
''' + people
        until = time.monotonic() + WAIT
        while True:
            done = subprocess.run(['ldapadd', '-x', '-H', f'ldap://127.0.0.1:{self.port}', '-D', f'cn=admin,{self.base}',
                                   '-w', 'secret'], input=ldif, text=True, capture_output=True)
            if done.returncode == 0:
                return
            assert time.monotonic() < until and "Can't contact" in done.stderr, done.stderr
            time.sleep(0.2)

    def close(self):
        if self.popen.poll() is None:
            self.popen.terminate()
            self.popen.wait()


@pytest.fixture
def slapd(tmp_path):
    need('slapd', 'slapd')
    key, cert = tmp_path / 'key.pem', tmp_path / 'cert.pem'
    subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes',
                    '-keyout', key, '-out', cert, '-days', '2', '-subj', '/CN=ldap', '-addext', 'subjectAltName=IP:127.0.0.1'],
                   check=True, capture_output=True)
    s = Slapd(tmp_path, (cert, key))
    s.ca = cert
    yield s
    s.close()


@pytest.mark.parametrize('how', ['dn', 'search'])
def test_ldap(own_server, slapd, tmp_path, how):
    (tmp_path / 'bindpw').write_text('reading\n')
    settings = {'dn': [f'ldap.dn=uid=%u,ou=people,{slapd.base}'],
                'search': [f'ldap.base=ou=people,{slapd.base}', 'ldap.filter=(&(objectClass=inetOrgPerson)(uid=%u))',
                           f'ldap.bind_dn=cn=reader,{slapd.base}', f'ldap.bind_password_file={tmp_path}/bindpw']}[how]
    server = own_server('auth.driver=ldap', f'ldap.url=ldap://127.0.0.1:{slapd.port}', f'ldap.ca_file={slapd.ca}',
                        'auth.timeout=5', 'sm.template_roster=help@jackdaw.test=Help', *settings).start()
    assert offered(server) == {'PLAIN'}
    romeo = login(server, 'romeo', PASSWORD)
    until = time.monotonic() + WAIT  # here for the first time: a new account
    while True:
        romeo.send("<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>")
        if [i.get('jid') for i in romeo.wait_for('iq', id='r').iter('{jabber:iq:roster}item')] == ['help@jackdaw.test']:
            break
        assert time.monotonic() < until
        time.sleep(0.1)
    for name, password in (('romeo', 'capulet'), ('nobody', PASSWORD), ('*', PASSWORD), ('romeo)(cn=*', PASSWORD), ('ro*', PASSWORD)):
        assert failure(server, name, password) == 'not-authorized', name
    login(server, 'juliet', 'capulet').ping()
    slapd.close()
    assert failure(server, 'romeo', PASSWORD) == 'temporary-auth-failure'
    romeo.ping()


def test_ldap_finds_two(own_server, slapd, tmp_path):
    (tmp_path / 'bindpw').write_text('reading\n')
    server = own_server('auth.driver=ldap', f'ldap.url=ldap://127.0.0.1:{slapd.port}', f'ldap.ca_file={slapd.ca}',
                        f'ldap.base={slapd.base}', 'ldap.filter=(mail=same@x)', f'ldap.bind_dn=cn=reader,{slapd.base}',
                        f'ldap.bind_password_file={tmp_path}/bindpw').start()
    assert failure(server, 'romeo', PASSWORD) == failure(server, 'juliet', 'capulet') == 'not-authorized'


def test_ldap_with_a_certificate_of_nobody(own_server, slapd):
    server = own_server('auth.driver=ldap', f'ldap.url=ldap://127.0.0.1:{slapd.port}', f'ldap.dn=uid=%u,ou=people,{slapd.base}').start()
    assert failure(server, 'romeo', PASSWORD) == 'temporary-auth-failure'


def test_pam(own_server, tmp_path):
    script = tmp_path / 'check.sh'
    script.write_text(f'#!/bin/sh\nread -r password\n[ "$PAM_USER" = romeo ] && [ "$password" = "{PASSWORD}" ]\n')
    script.chmod(0o755)
    (tmp_path / 'pam.d').mkdir()
    (tmp_path / 'pam.d/jackdaw').write_text(f'auth required pam_exec.so expose_authtok quiet {script}\naccount required pam_permit.so\n')
    server = own_server('auth.driver=pam', f'pam.directory={tmp_path}/pam.d').start()
    login(server, 'romeo', PASSWORD).ping()
    assert failure(server, 'romeo', 'wrong') == failure(server, 'juliet', PASSWORD) == 'not-authorized'


def test_anonymous(own_server):
    server = own_server(f'auth.anonymous={DOMAIN}').start()
    assert offered(server) == {'ANONYMOUS'}
    names = []
    asyncio.set_event_loop(asyncio.new_event_loop())  # slixmpp takes the thread's; an earlier test may have closed it

    class Guest(slixmpp.ClientXMPP):
        def __init__(self):
            super().__init__(DOMAIN, '', sasl_mech='ANONYMOUS')
            self.ca_certs = server.ca
            self.add_event_handler('session_start', self.begin)
            self.add_event_handler('failed_auth', lambda e: self.disconnect())

        def begin(self, event):
            names.append(self.boundjid.bare)
            self.disconnect()

    for _ in range(2):
        guest = Guest()
        guest.connect(('127.0.0.1', server.port))
        guest.process(forever=False)
    assert len(set(names)) == 2 and all(n.endswith('@' + DOMAIN) and len(n.split('@')[0]) >= 20 for n in names)
    until = time.monotonic() + WAIT  # what was stored for them goes with them
    database = sqlite3.connect(server.data / 'sm/jackdaw.db')
    while database.execute('select count(*) from active').fetchone()[0]:
        assert time.monotonic() < until
        time.sleep(0.1)
    c = Raw(server.port, DOMAIN, server.ca)
    c.open(), c.starttls(), c.open()
    assert local(c.auth_plain('romeo', PASSWORD)[0]) == 'invalid-mechanism'
