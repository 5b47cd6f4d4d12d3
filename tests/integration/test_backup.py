"""`jackdaw backup` beside a running server and `jackdaw restore`, over both databases and from each to the other."""
import lzma
import os
import re
import sqlite3
from pathlib import Path

from conftest import postgres
from raw import NS
from test_import import everything_is_there

DATABASES = ['sqlite', 'postgres']
PLACEMENTS = ['inline']


def tables(output):
    """What a backup or restore says of each table: name, rows and hash."""
    return sorted(re.findall(r'^(\w+/[\w-]+) +(\d+) rows +([0-9a-f]+)$', output, re.M))


def fill(server):
    """Accounts, a roster with groups, offline messages with characters of every kind, private data."""
    for name in ('romeo', 'juliet', 'benvolio'):
        server.user(name)
    romeo = server.client('romeo')
    romeo.send("<iq type='set' id='r'><query xmlns='jabber:iq:roster'><item jid='juliet@jackdaw.test' name='J &amp; &#x1f49b;'>"
               "<group>b\u00e9</group><group>a</group></item></query></iq>")
    romeo.wait_for('iq', id='r')
    for n in range(30):
        romeo.send(f"<message to='juliet@jackdaw.test' type='chat'><body>{n} \u00e9\u4e2d&#x1f49b; &lt;</body></message>")
    romeo.ping()
    romeo.end()


def check(server):
    """Everything that fill() made, as clients see it."""
    juliet = server.client('juliet')
    juliet.send('<presence/>')
    bodies = [juliet.wait_for('message').findtext('c:body', namespaces=NS) for _ in range(30)]
    assert bodies == [f'{n} \u00e9\u4e2d\U0001f49b <' for n in range(30)]
    juliet.end()
    romeo = server.client('romeo')
    romeo.send("<iq type='get' id='g'><query xmlns='jabber:iq:roster'/></iq>")
    item = romeo.wait_for('iq', id='g').find('r:query/r:item', NS)
    assert item.get('name') == 'J & \U0001f49b'
    assert sorted(g.text for g in item.findall('r:group', NS)) == ['a', 'b\u00e9']
    romeo.end()


def refused(server, archive, *more):
    done = server.command('restore', archive, *more, check=False)
    assert done.returncode == 1
    return done.stderr


def test_backup_and_restore(own_server, placement, tmp_path):
    server = own_server().start()
    fill(server)
    archive, again = f'{server.data}/a.jackdaw', f'{server.data}/b.jackdaw'
    written = tables(server.command('backup', archive).stdout)
    assert ('users/queue', '30') in [t[:2] for t in written] and ('accounts/authreg', '3') in [t[:2] for t in written]
    assert os.stat(archive).st_mode & 0o777 == 0o600
    assert 'exists already' in server.command('backup', archive, check=False).stderr
    assert 'stop it first' in refused(server, archive, '--force')  # while the server runs
    server.stop()
    assert 'something in it' in refused(server, archive)

    # Into an empty installation of the other kind, and from there back into an empty one of the first kind.
    other = own_server(f'store.url={postgres().database()}' if placement.database == 'sqlite' else 'log.level=info')
    if placement.database == 'postgres':
        other.settings = [s for s in other.settings if not s.startswith('store.url=')]
    assert tables(other.command('restore', archive).stdout) == written
    assert tables(other.command('backup', again).stdout) == written
    other.start()
    check(other)
    other.stop()
    third = own_server()
    assert tables(third.command('restore', again).stdout) == written
    third.start()
    check(third)

    # The messages have been fetched: what is now there is replaced by what was.
    third.stop()
    assert tables(third.command('restore', again, '--force').stdout) == written
    third.start()
    check(third)
    third.stop()


def test_a_damaged_archive_changes_nothing(own_server, placement):
    server = own_server().start()
    fill(server)
    archive = f'{server.data}/a.jackdaw'
    server.command('backup', archive)
    server.stop()
    db = sqlite3.connect(archive)
    db.execute('UPDATE "users/queue" SET "xml" = ? WHERE rowid = 7', (b'<m/>',))
    db.commit()
    assert 'damaged' in refused(server, archive, '--force')
    db.execute('UPDATE "archive" SET "version" = 1000')
    db.commit()
    assert 'newer Jackdaw' in refused(server, archive, '--force')
    db.close()
    with open(archive, 'wb') as f:
        f.write(b'this is no archive\n' * 1000)
    assert refused(server, archive, '--force')
    server.start()
    check(server)
    server.stop()


def test_an_archive_of_an_older_schema(own_server, placement):
    """What `jackdaw backup` of schema 8 wrote (accounts: 2) of jabberd2_filled.py's users: brought to today's schema, nothing lost."""
    server = own_server()
    archive = server.data / 'old.jackdaw'
    archive.write_bytes(lzma.decompress((Path(__file__).parent / 'schema-8.jackdaw.xz').read_bytes()))
    restored = tables(server.command('restore', str(archive)).stdout)
    assert ('users/queue', '3') in [t[:2] for t in restored] and ('accounts/authreg', '3') in [t[:2] for t in restored]
    server.start()
    everything_is_there(server)
    server.stop()
