"""`jackdaw import jabberd2`: a database that jabberd2 2.7.0 wrote itself is taken over, and a client that is not ours finds
everything; run again it changes nothing. Password hashes become SCRAM keys at the first login."""
import asyncio
import gzip
import hashlib
import re
import shutil
import sqlite3
import subprocess

import pytest

from conftest import DOMAIN, JACKDAW, PASSWORD, postgres
from jabberd2_filled import PRIVATE, filled
from raw import NS, Raw
from test_jabberd2 import jabberd2  # noqa: F401 (a fixture: jabberd2 is there)
from test_tables import Person, run, same

pytestmark = pytest.mark.peers

DATABASES = ['sqlite', 'postgres']
PLACEMENTS = ['inline']


@pytest.fixture(scope='module')
def theirs(tmp_path_factory):
    path = tmp_path_factory.mktemp('jabberd2') / 'jabberd2.db'
    assert filled(path) == DOMAIN
    return str(path)


def rows(output):
    """What an import says of each kind: name -> (read, hash, stored, hash, new, here)."""
    found = re.findall(r'^  ([\w. -]+?) +(\d+) read ([0-9a-f]{16}) +(\d+) stored ([0-9a-f]{16})  (\d+) new, (\d+) already here',
                       output, re.M)
    return {name: (int(read), a, int(stored), b, int(new), int(here)) for name, read, a, stored, b, new, here in found}


def everything_is_there(server):
    async def look():
        juliet = await Person(server, 'juliet').come()
        roster = await juliet.ask('get', "<query xmlns='jabber:iq:roster'/>")
        assert [(i.get('jid'), i.get('subscription')) for i in roster] == [(f'romeo@{DOMAIN}', 'from')]
        card = await juliet.ask('get', "<vCard xmlns='vcard-temp'/>")
        assert card.findtext('{vcard-temp}N/{vcard-temp}FAMILY') == 'Capulet'
        assert card.findtext('{vcard-temp}PHOTO/{vcard-temp}BINVAL') == 'aGVsbG8='
        assert same((await juliet.ask('get', "<query xmlns='jabber:iq:private'><storage xmlns='storage:bookmarks'/></query>"))[0],
                    PRIVATE)
        names = await juliet.ask('get', "<query xmlns='jabber:iq:privacy'/>")
        assert [(e.tag.split('}')[1], e.get('name')) for e in names] == [('active', None), ('default', 'quiet'), ('list', 'quiet')] \
            or [(e.tag.split('}')[1], e.get('name')) for e in names] == [('default', 'quiet'), ('list', 'quiet')]
        items = (await juliet.ask('get', "<query xmlns='jabber:iq:privacy'><list name='quiet'/></query>"))[0]
        assert [(i.get('type'), i.get('value'), i.get('action'), i.get('order'), len(i)) for i in items] == [
            ('subscription', 'both', 'allow', '1', 0), ('jid', f'tybalt@{DOMAIN}', 'deny', '3', 1), (None, None, 'allow', '9', 0)]
        vacation = await juliet.ask('get', "<query xmlns='http://jabber.org/protocol/vacation'/>")
        assert vacation.findtext('{http://jabber.org/protocol/vacation}message') == 'in Mantua'
        await juliet.leave()
        romeo = await Person(server, 'romeo').come()
        item = (await romeo.ask('get', "<query xmlns='jabber:iq:roster'/>")).find(f"*[@jid='juliet@{DOMAIN}']")
        assert (item.get('name'), item.get('subscription')) == ('Juliet <3', 'to')
        assert sorted(g.text for g in item) == ['Capulets', 'L\u00f6ve']
        blocked = await romeo.ask('get', "<blocklist xmlns='urn:xmpp:blocking'/>")
        assert [i.get('jid') for i in blocked] == [f'paris@{DOMAIN}']
        await romeo.leave()
    run(look())
    nurse = server.client('nurse')
    nurse.send("<iq type='get' id='g'><query xmlns='jabber:iq:roster'/></iq><presence/>")
    came = []
    while len(came) < 5:  # four messages and a request, whatever else comes
        e = nurse.next()
        if e.tag.endswith('}message') or e.get('type') == 'subscribe':
            came.append(e)
    queued = [e for e in came if e.get('from') == f'romeo@{DOMAIN}/test']
    assert [e.findtext('c:body', namespaces=NS) for e in queued] == [f'later <{i}> \u00fc' for i in range(3)]
    assert all(e.find('{urn:xmpp:delay}delay').get('from') == DOMAIN for e in queued)
    assert [e.get('from') for e in came if e.get('type') == 'subscribe'] == [f'romeo@{DOMAIN}']
    assert [e.findtext('c:body', namespaces=NS) for e in came if e.get('from') == DOMAIN] == ['a masked ball']
    nurse.end()


def test_jabberd2(own_server, placement, theirs):
    server = own_server()
    dry = server.command('import', 'jabberd2', '--sqlite', theirs, '--dry-run').stdout
    assert 'nothing was changed' in dry
    first = server.command('import', 'jabberd2', '--sqlite', theirs).stdout
    kinds = rows(first)
    assert {k: v[0] for k, v in kinds.items()} == {
        'authreg': 3, 'authkeys': 9, 'active': 3, 'logout': 2, 'roster-items': 3, 'subscription requests': 1, 'vcard': 1,
        'private': 1, 'privacy-items': 2, 'privacy-default': 2, 'vacation-settings': 1, 'status': 2, 'motd-message': 1,
        'motd-times': 2, 'queue': 3}
    for read, before, stored, after, new, here in kinds.values():
        assert (read, before, here) == (stored, after, 0) and new == read
    again = rows(server.command('import', 'jabberd2', '--sqlite', theirs).stdout)
    assert {k: v[:4] for k, v in again.items()} == {k: v[:4] for k, v in kinds.items()}
    assert all(v[4] == 0 and v[5] == v[0] for v in again.values())
    server.start()
    assert 'stop it first' in server.command('import', 'jabberd2', '--sqlite', theirs, check=False).stderr
    everything_is_there(server)
    server.stop()


def test_from_postgres_and_a_subset_of_tables(own_server, placement, theirs):
    """The same rows in PostgreSQL; without private, vcard and motd."""
    url = postgres().database()
    copy_to_postgres(theirs, url)
    server = own_server()
    done = server.command('import', 'jabberd2', '--postgres', url)
    assert 'vcard                      is not in the database' in done.stdout
    assert {k: v[0] for k, v in rows(done.stdout).items()} == {
        'authreg': 3, 'authkeys': 9, 'active': 3, 'logout': 2, 'roster-items': 3, 'subscription requests': 1,
        'privacy-items': 2, 'privacy-default': 2, 'vacation-settings': 1, 'queue': 3}
    one = own_server()
    done = one.command('import', 'jabberd2', f'romeo@{DOMAIN}', '--sqlite', theirs, '--tables', 'authreg,roster-items')
    assert {k: v[0] for k, v in rows(done.stdout).items()} == {'authreg': 1, 'authkeys': 3, 'roster-items': 2}


def copy_to_postgres(path, url):
    """Debian's own schema for PostgreSQL is what jabberd2 would have used."""
    schema = gzip.open('/usr/share/doc/jabberd2/db-setup.pgsql.gz', 'rt').read()
    lines = [schema]
    with sqlite3.connect(path) as db:
        for table in ('authreg', 'active', 'logout', 'roster-items', 'roster-groups', 'privacy-items', 'privacy-default',
                      'vacation-settings', 'queue'):
            cursor = db.execute(f'SELECT * FROM "{table}"')
            names = [d[0] for d in cursor.description]
            for row in cursor:
                values = ', '.join(value(n, v) for n, v in zip(names, row))
                columns = ', '.join(f'"{n}"' for n in names)
                lines.append(f'INSERT INTO "{table}" ({columns}) VALUES ({values});')
    lines += ['DROP TABLE "private", "vcard", "motd-message", "motd-times", "status";']
    done = subprocess.run(['psql', '-q', '-v', 'ON_ERROR_STOP=1', url], input='\n'.join(lines), text=True, capture_output=True)
    assert done.returncode == 0, done.stderr


def value(name, v):
    if v is None:
        return 'NULL'
    if name in ('to', 'from', 'deny'):
        return 'true' if v else 'false'
    return str(v) if isinstance(v, int) else "'" + v.replace("'", "''") + "'"


def stored_password(server, name):
    return None if 'postgres' in str(server.settings) else sqlite3.connect(f'{server.data}/accounts/accounts.db').execute(
        'SELECT password, (SELECT count(*) FROM authkeys k WHERE k.username = a.username) FROM authreg a WHERE username = ?',
        [name]).fetchone()


def try_login(server, name, password, mechanism):
    client = Raw(server.port, server.domain, server.ca)
    try:
        client.login(name, password, 'test', mechanism=mechanism)
        client.end()
        return True
    except AssertionError:
        return False
    finally:
        client.close()


def test_hashes_become_keys_at_the_first_login(own_server, placement, theirs, tmp_path):
    copy = tmp_path / 'hashed.db'
    shutil.copy(theirs, copy)
    with sqlite3.connect(copy) as db:
        a1 = hashlib.md5(f'romeo:{DOMAIN}:{PASSWORD}'.encode()).hexdigest()
        db.execute('UPDATE authreg SET password = ? WHERE username = ?', [a1, 'romeo'])
        db.execute('UPDATE authreg SET password = ? WHERE username = ?',
                   [subprocess.run(['openssl', 'passwd', '-6', PASSWORD], capture_output=True, text=True, check=True).stdout.strip(), 'nurse'])
    server = own_server()
    out = server.command('import', 'jabberd2', '--sqlite', str(copy)).stdout
    assert 'passwords: 1 plain, 1 a1hash, 1 crypt' in out
    server.start()
    for name in ('romeo', 'nurse'):
        kept = stored_password(server, name)
        assert kept is None or (kept[0].startswith('{') and kept[1] == 0)
        assert not try_login(server, name, PASSWORD, 'SCRAM-SHA-256')  # there are no keys yet
        assert not try_login(server, name, 'wrong', 'PLAIN')
        assert stored_password(server, name) == kept
        assert try_login(server, name, PASSWORD, 'PLAIN')
        assert stored_password(server, name) in (None, (None, 3))  # the hash is erased
        assert try_login(server, name, PASSWORD, 'SCRAM-SHA-256')
    server.stop()
    # What has happened since stays when the import is run again.
    again = server.command('import', 'jabberd2', '--sqlite', str(copy))
    assert 'kept as they are here' in again.stdout and 'stay as they are' in again.stderr
    server.start()
    assert try_login(server, 'romeo', PASSWORD, 'SCRAM-SHA-512')
    server.stop()


def test_interrupted(own_server, placement, theirs, tmp_path):
    """Killed at any moment, wherever that is, and run again: everything is there once."""
    many = tmp_path / 'many.db'
    shutil.copy(theirs, many)
    with sqlite3.connect(many) as db:
        for n in range(300):
            owner = f'user{n}@{DOMAIN}'
            db.execute('INSERT INTO authreg VALUES (?, ?, ?)', [f'user{n}', DOMAIN, f'password {n}'])
            db.execute('INSERT INTO active ("collection-owner", time) VALUES (?, 1000000000)', [owner])
            db.executemany('INSERT INTO "roster-items" ("collection-owner", jid, "to", "from", ask) VALUES (?, ?, 1, 1, 0)',
                           [(owner, f'user{m}@{DOMAIN}') for m in range(n, n + 5) if m != n])
            db.executemany('INSERT INTO queue ("collection-owner", xml) VALUES (?, ?)',
                           [(owner, f"NAD<route><message xmlns='jabber:client'><body>{m}</body></message></route>") for m in range(5)])
    server = own_server()
    for tenths in (2, 6, 12):
        popen = subprocess.Popen([JACKDAW, 'import', 'jabberd2', '--sqlite', str(many), *server.options()],
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            popen.wait(tenths / 10)
        except subprocess.TimeoutExpired:
            popen.kill()
            popen.wait()
    kinds = rows(server.command('import', 'jabberd2', '--sqlite', str(many)).stdout)
    assert (kinds['authreg'][0], kinds['roster-items'][0], kinds['queue'][0]) == (303, 1203, 1503)
    for read, before, stored, after, new, here in kinds.values():
        assert (read, before, new + here) == (stored, after, read)
    again = rows(server.command('import', 'jabberd2', '--sqlite', str(many)).stdout)
    assert all(v[5] == v[0] for v in again.values())
    exported = server.command('export', str(tmp_path / 'all.xml')).stdout
    assert re.search(r'^  queue +1503 ', exported, re.M) and '303 accounts' in exported


def test_what_is_no_database_of_jabberd2(own_server, placement, tmp_path):
    server = own_server()
    other = tmp_path / 'other.db'
    with sqlite3.connect(other) as db:
        db.execute('CREATE TABLE x (y)')
    for arguments, text in ((['--sqlite', str(other)], "none of jabberd2's tables"),
                            (['--sqlite', str(tmp_path / 'missing.db')], 'cannot read'),
                            ([], 'say where'), (['--sqlite', str(other), '--tables', 'rooster'], 'there is no "rooster"')):
        done = server.command('import', 'jabberd2', *arguments, check=False)
        assert done.returncode != 0 and text in done.stderr


def test_web_presence(own_server, placement):
    """The table `status`, where the setting asks for it."""
    if placement.database != 'sqlite':
        return
    server = own_server('sm.web_presence=true').start()
    server.user('romeo')
    romeo = server.client('romeo')
    romeo.send('<presence><show>dnd</show></presence>')
    romeo.ping()

    def status():
        with sqlite3.connect(f'{server.data}/sm/jackdaw.db') as db:
            return db.execute('SELECT status, show, "last-login" > 0, "last-logout" > 0 FROM status').fetchall()
    until = [(('online', 'dnd', 1, 0), None), (('offline', '', 1, 1), romeo.end)]
    for wanted, action in until:
        if action:
            action()
        asyncio.run(wait_until(lambda: status() == [wanted]))
    server.stop()


async def wait_until(condition):
    for _ in range(600):
        if condition():
            return
        await asyncio.sleep(0.1)
    raise AssertionError('it does not come about')
