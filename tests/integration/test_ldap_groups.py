"""Shared groups from an LDAP directory: read at start, at a reload and by themselves, pushed to who is there; the directory goes away."""
import asyncio
import subprocess

from conftest import PASSWORD
from raw import WAIT
from test_auth import slapd  # noqa: F401  (the fixture)
from test_two_users import Person

THREADS = True


def modify(slapd, ldif):  # noqa: F811
    subprocess.run(['ldapmodify', '-x', '-H', f'ldap://127.0.0.1:{slapd.port}', '-D', f'cn=admin,{slapd.base}', '-w', 'secret'],
                   input=ldif, text=True, check=True, capture_output=True)


def group(slapd, name, *members):  # noqa: F811
    return f'dn: cn={name},ou=people,{slapd.base}\nchangetype: add\nobjectClass: groupOfNames\ncn: {name}\n' + \
        ''.join(f'member: {m}\n' for m in members) + '\n'


class Colleague(Person):
    def __init__(self, server, name, password):
        super().__init__(server, name, password)
        self.pushes = asyncio.Queue()
        self.add_event_handler('roster_update', lambda iq: self.pushes.put_nowait(iq) if iq['type'] == 'set' else None)

    async def push_about(self, jid):
        while True:
            items = (await asyncio.wait_for(self.pushes.get(), WAIT))['roster']['items']
            if jid in items:
                return items[jid]


def started(own_server, slapd, tmp_path, *settings):  # noqa: F811
    (tmp_path / 'bindpw').write_text('reading\n')
    server = own_server(f'ldap.url=ldap://127.0.0.1:{slapd.port}', f'ldap.ca_file={slapd.ca}', f'ldap.bind_dn=cn=reader,{slapd.base}',
                        f'ldap.bind_password_file={tmp_path}/bindpw', f'ldap.group_base={slapd.base}', *settings)
    server.start()
    for name in ('romeo', 'juliet', 'tybalt'):
        server.user(name)
    return server


def shows(server):
    return server.command('auth', 'groups').stdout


def test_groups_are_read_and_pushed(own_server, slapd, tmp_path):  # noqa: F811
    modify(slapd, f'dn: cn=Tybalt,ou=people,{slapd.base}\nchangetype: add\nobjectClass: inetOrgPerson\ncn: Tybalt\nsn: T\nuid: tybalt\n\n')
    people = f'ou=people,{slapd.base}'
    modify(slapd, group(slapd, 'Verona', f'uid=romeo,{people}', f'cn=Tybalt,{people}', f'cn=gone,{people}'))
    server = started(own_server, slapd, tmp_path, 'ldap.group_refresh=86400')
    assert shows(server) == 'group Verona\nmember romeo@jackdaw.test\nmember tybalt@jackdaw.test\n'

    async def go():
        romeo = await Colleague(server, 'romeo', PASSWORD).come()
        while 'tybalt@jackdaw.test' not in romeo.client_roster.keys():  # it may have been here before the answer
            await asyncio.sleep(0.1)
        assert romeo.client_roster['tybalt@jackdaw.test']['subscription'] == 'both'
        assert romeo.client_roster['tybalt@jackdaw.test']['groups'] == ['Verona']
        juliet = await Colleague(server, 'juliet', PASSWORD).come()
        # a change in the directory reaches those who are there at a reload
        modify(slapd, group(slapd, 'Balcony', f'uid=romeo,{people}', f'uid=juliet,{people}'))
        server.command('reload')
        assert (await romeo.push_about('juliet@jackdaw.test'))['groups'] == ['Balcony']
        assert (await juliet.push_about('romeo@jackdaw.test'))['subscription'] == 'both'
        await romeo.presence_of('juliet@jackdaw.test', 'available')
        modify(slapd, f'dn: cn=Balcony,{people}\nchangetype: delete\n')
        server.command('reload')
        assert (await romeo.push_about('juliet@jackdaw.test'))['subscription'] == 'remove'
        await romeo.presence_of('juliet@jackdaw.test', 'unavailable')
        await romeo.leave()
        await juliet.leave()

    asyncio.run(go())
    server.stop()


def test_they_are_read_again_and_outlive_the_directory(own_server, slapd, tmp_path):  # noqa: F811
    people = f'ou=people,{slapd.base}'
    modify(slapd, group(slapd, 'Verona', f'uid=romeo,{people}', f'uid=juliet,{people}'))
    server = started(own_server, slapd, tmp_path, 'ldap.group_refresh=5')

    async def go():
        romeo = await Colleague(server, 'romeo', PASSWORD).come()
        modify(slapd, f'dn: cn=Verona,{people}\nchangetype: modify\nadd: member\nmember: uid=tybalt,{people}\n')
        assert (await romeo.push_about('tybalt@jackdaw.test'))['groups'] == ['Verona']
        slapd.close()
        until = asyncio.get_running_loop().time() + 40
        while not any('those known before stay' in line for line in server.of('sm').log):
            assert asyncio.get_running_loop().time() < until
            await asyncio.sleep(0.2)
        juliet = await Colleague(server, 'juliet', PASSWORD).come()
        assert juliet.client_roster['tybalt@jackdaw.test']['groups'] == ['Verona']
        await romeo.presence_of('juliet@jackdaw.test', 'available')
        await romeo.leave()
        await juliet.leave()

    async def later():
        juliet = await Colleague(server, 'juliet', PASSWORD).come()
        while 'tybalt@jackdaw.test' not in juliet.client_roster.keys():  # it may have been here before the helper
            await juliet.push_about('tybalt@jackdaw.test')
        assert juliet.client_roster['tybalt@jackdaw.test']['groups'] == ['Verona']
        await juliet.leave()

    asyncio.run(go())
    server.stop()
    server.start()  # the directory is still away: what it said last is remembered
    asyncio.run(later())
    server.stop()
