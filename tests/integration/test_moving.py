"""Moving by XEP-0227 and by Prosody's files: what ejabberd 23.01 and Prosody 0.12 (Debian's) have and export themselves is taken
over, and a client finds it; our own export, imported into an empty server, is exported as the same bytes."""
import os
import re
import stat
import subprocess
import xml.etree.ElementTree as ET

import pytest

from conftest import DOMAIN, PASSWORD, need
from ejabberd import Ejabberd
from jabberd2_filled import PRIVATE, done, filled
from prosody import Prosody
from raw import NS, Raw
from test_import import everything_is_there, rows, try_login
from test_jabberd2 import jabberd2  # noqa: F401 (a fixture: jabberd2 is there)
from test_tables import Person, run, same

pytestmark = pytest.mark.peers

DATABASES = ['sqlite', 'postgres']
PLACEMENTS = ['inline']
THEIRS = 'peer.example'
DOMAINS_VCARD = "<vCard xmlns='vcard-temp'><FN>Capulet and sons</FN></vCard>"
VCARD = "<vCard xmlns='vcard-temp'><FN>Juliet Capulet</FN><NOTE>\u00fc &lt;</NOTE></vCard>"


@pytest.fixture(scope='module')
def theirs(tmp_path_factory):
    path = tmp_path_factory.mktemp('jabberd2') / 'jabberd2.db'
    filled(path)
    return str(path)


# ---- our own ----

def test_round_trip(own_server, placement, theirs, tmp_path):
    """Export, import into an empty server, export: byte for byte the same (it is sorted). A restart, and a client finds all."""
    first, second = own_server(), own_server()
    first.command('import', 'jabberd2', '--sqlite', theirs, '--tables',
                  'authreg,active,logout,roster-items,subscription requests,vcard,private,privacy-items,privacy-default,'
                  'vacation-settings,status,motd-message,motd-times,queue')
    (tmp_path / 'domain.xml').write_text(f"<server-data xmlns='urn:xmpp:pie:0'><host jid='{DOMAIN}'><domain xmlns='urn:jackdaw:pie:0'>"
                                         f"{DOMAINS_VCARD}</domain></host></server-data>")
    first.command('import', 'xep0227', str(tmp_path / 'domain.xml'))
    first.command('user', 'disable', f'nurse@{DOMAIN}')
    one, two, three = (str(tmp_path / n) for n in ('one.xml', 'two.xml', 'three.xml'))
    exported = first.command('export', one).stdout
    assert stat.S_IMODE(os.stat(one).st_mode) == 0o600
    imported = second.command('import', 'xep0227', one).stdout
    for name, (read, before, stored, after, new, here) in rows(imported).items():
        assert (read, before, here) == (stored, after, 0)
        assert re.search(rf'^  {name} +{read} {before}$', exported, re.M)  # the exporter counted and summed the same
    second.command('export', two)
    assert open(one, 'rb').read() == open(two, 'rb').read()
    again = rows(second.command('import', 'xep0227', one).stdout)
    assert again and all(v[4] == 0 for v in again.values())
    # One user alone, while the server runs.
    second.command('user', 'enable', f'nurse@{DOMAIN}')
    second.start()
    second.command('export', three, f'juliet@{DOMAIN}')
    users = ET.parse(three).getroot().findall('.//{urn:xmpp:pie:0}user')
    assert [u.get('name') for u in users] == ['juliet']
    assert 'cannot make' in second.command('export', three, check=False).stderr  # it is there already
    assert 'there is no account' in second.command('export', str(tmp_path / 'x.xml'), f'nobody@{DOMAIN}', check=False).stderr
    assert not (tmp_path / 'x.xml').exists()
    everything_is_there(second)
    juliet = second.client('juliet')
    juliet.send(f"<iq type='get' id='domain' to='{DOMAIN}'><vCard xmlns='vcard-temp'/></iq>")
    assert same(juliet.wait_for('iq', id='domain')[0], DOMAINS_VCARD)
    juliet.end()
    second.stop()


def test_several_files_and_what_is_wrong(own_server, placement, tmp_path):
    server = own_server()
    (tmp_path / 'sub').mkdir()
    (tmp_path / 'main.xml').write_text(
        "<?xml version='1.0' encoding='UTF-8'?>\n<!-- a comment -->\n<server-data xmlns='urn:xmpp:pie:0' "
        "xmlns:xi='http://www.w3.org/2001/XInclude'><xi:include href='host.xml'/><host jid='b.example'>"
        "<user name='nurse' password='secret'/></host></server-data>")
    (tmp_path / 'host.xml').write_text("<host xmlns='urn:xmpp:pie:0' jid='%s' xmlns:xi='http://www.w3.org/2001/XInclude'>"
                                       "<xi:include href='sub/romeo%%20.xml'/></host>" % DOMAIN)
    (tmp_path / 'sub' / 'romeo .xml').write_text(
        f"<user xmlns='urn:xmpp:pie:0' name='Romeo' password='{PASSWORD}'><mystery xmlns='x:y'><a/></mystery>"
        "<motd xmlns='urn:jackdaw:pie:0'/><query xmlns='jabber:iq:roster'>\n<item jid='not@a@jid'/><item jid='juliet@x.example' subscription='both'>"
        "<group>a</group><group>a</group></item></query></user>")
    done = server.command('import', 'xep0227', str(tmp_path / 'main.xml'), check=False)
    assert done.returncode == 1 and '3 things could not be carried' in done.stderr
    assert f"romeo@{DOMAIN}: <motd xmlns='urn:jackdaw:pie:0'> has no place here" in done.stderr  # a domain's
    assert f"romeo@{DOMAIN}: <mystery xmlns='x:y'> has no place here" in done.stderr
    assert 'roster item "not@a@jid" makes no sense' in done.stderr
    assert rows(done.stdout)['authreg'][0] == 2
    server.start()
    assert try_login(server, 'romeo', PASSWORD, 'SCRAM-SHA-256')
    server.stop()
    wrong = {'dtd': ("<!DOCTYPE x [<!ENTITY a 'b'>]><server-data xmlns='urn:xmpp:pie:0'/>", 'there is a DTD'),
             'root': ('<html/>', 'this is no <server-data'), 'cut': ("<server-data xmlns='urn:xmpp:pie:0'>\n<host", 'line 2:'),
             'up': ("<server-data xmlns='urn:xmpp:pie:0'><include xmlns='http://www.w3.org/2001/XInclude' href='../x'/></server-data>",
                    'below the folder'),
             'loop': ("<server-data xmlns='urn:xmpp:pie:0'><include xmlns='http://www.w3.org/2001/XInclude' href='loop'/></server-data>",
                      '<server-data xmlns=')}
    for name, (text, message) in wrong.items():
        (tmp_path / name).write_text(text)
        done = server.command('import', 'xep0227', str(tmp_path / name), check=False)
        assert done.returncode == 1 and message in done.stderr, (name, done.stderr)


# ---- theirs ----

def fill(peer, privacy):
    """juliet and romeo at a server of another kind, through its own protocol."""
    juliet, romeo = (peer_client(peer, n) for n in ('juliet', 'romeo'))
    done(juliet, f"<query xmlns='jabber:iq:roster'><item jid='romeo@{THEIRS}' name='R &lt;'><group>b</group><group>a</group></item>"
         '</query>', 'r')
    juliet.send(f"<presence to='romeo@{THEIRS}' type='subscribe'/>")
    romeo.wait_for('presence', type='subscribe')
    romeo.send(f"<presence to='juliet@{THEIRS}' type='subscribed'/>")
    juliet.wait_for('presence', type='subscribed')
    romeo.send(f"<presence to='juliet@{THEIRS}' type='subscribe'/>")
    juliet.wait_for('presence', type='subscribe')  # left without an answer
    done(juliet, VCARD, 'v')
    done(juliet, f"<query xmlns='jabber:iq:private'>{PRIVATE}</query>", 'p')
    if privacy:
        done(juliet, f"<query xmlns='jabber:iq:privacy'><list name='quiet'><item type='jid' value='paris@{THEIRS}' action='deny' "
             "order='2'><iq/></item><item action='allow' order='7'/></list></query>", 'l')
        done(juliet, "<query xmlns='jabber:iq:privacy'><default name='quiet'/></query>", 'd')
    else:
        done(juliet, f"<block xmlns='urn:xmpp:blocking'><item jid='paris@{THEIRS}'/></block>", 'b')
    juliet.end()
    romeo.send(f"<presence to='juliet@{THEIRS}' type='unavailable'/>")
    for i in range(3):
        romeo.send(f"<message to='juliet@{THEIRS}' type='chat' id='m{i}'><body>later &lt;{i}&gt; \u00fc</body></message>")
    done(romeo, f"<query xmlns='jabber:iq:roster'><item jid='last@{THEIRS}'/></query>", 'end')
    romeo.end()


def peer_client(peer, name):
    client = Raw(peer.port, THEIRS, peer.ca, ip=peer.ip)
    client.login(name, peer.password, 'test', mechanism='PLAIN')
    client.send("<iq type='get' id='roster'><query xmlns='jabber:iq:roster'/></iq><presence/>")
    client.wait_for('iq', id='roster')
    return client


def all_is_there(server, mechanism, privacy):
    server.domain, server.password = THEIRS, PASSWORD
    server.start()

    async def look():
        juliet = await Person(server, 'juliet').come(presence=False)
        roster = await juliet.ask('get', "<query xmlns='jabber:iq:roster'/>")
        assert [(i.get('jid'), i.get('name'), i.get('subscription'), sorted(g.text for g in i)) for i in roster] == [
            (f'romeo@{THEIRS}', 'R <', 'to', ['a', 'b'])]
        assert same(await juliet.ask('get', "<vCard xmlns='vcard-temp'/>"), VCARD)
        assert same((await juliet.ask('get', "<query xmlns='jabber:iq:private'><storage xmlns='storage:bookmarks'/></query>"))[0],
                    PRIVATE)
        if privacy:
            items = (await juliet.ask('get', "<query xmlns='jabber:iq:privacy'><list name='quiet'/></query>"))[0]
            assert [(i.get('value'), i.get('action'), i.get('order'), len(i)) for i in items] == [
                (f'paris@{THEIRS}', 'deny', '2', 1), (None, 'allow', '7', 0)]
        else:
            blocked = await juliet.ask('get', "<blocklist xmlns='urn:xmpp:blocking'/>")
            assert [i.get('jid') for i in blocked] == [f'paris@{THEIRS}']
        await juliet.leave()
    juliet = Raw(server.port, THEIRS, server.ca)
    juliet.login('juliet', PASSWORD, 'test', mechanism=mechanism)
    juliet.send("<iq type='get' id='g'><query xmlns='jabber:iq:roster'/></iq><presence/>")
    came = []
    while len(came) < 4:  # three messages and a request
        e = juliet.next()
        if e.tag.endswith('}message') or e.get('type') == 'subscribe':
            came.append(e)
    assert [e.findtext('c:body', namespaces=NS) for e in came if e.tag.endswith('}message')] == [
        f'later <{i}> \u00fc' for i in range(3)]
    assert all(e.find('{urn:xmpp:delay}delay').get('stamp') for e in came if e.tag.endswith('}message'))
    assert [e.get('from') for e in came if e.get('type') == 'subscribe'] == [f'romeo@{THEIRS}']
    juliet.end()
    run(look())
    server.stop()


MODULES = '"roster", "saslauth", "tls", "disco", "presence", "message", "iq", "offline", "vcard", "private", "blocklist"'


@pytest.mark.parametrize('hashed', [False, True])
def test_prosody(own_server, placement, hashed):
    peer = Prosody(THEIRS, '127.0.4.9', None, options=f'modules_enabled = {{ {MODULES} }}\n')
    try:
        peer.password = PASSWORD
        for name in ('juliet', 'romeo'):
            peer.user(name)
        peer.start()
        fill(peer, privacy=False)
        peer.popen.terminate()
        peer.popen.wait()
        if hashed:  # internal_hashed turns a plain password into keys at the login
            peer.write(f'modules_enabled = {{ {MODULES} }}\nauthentication = "internal_hashed"\n')
            peer.start()
            peer_client(peer, 'romeo').end()
            late = Raw(peer.port, THEIRS, peer.ca, ip=peer.ip)
            late.authenticate('juliet', PASSWORD, mechanism='PLAIN')  # without being there: the messages stay
            late.close()
            peer.popen.terminate()
            peer.popen.wait()
            accounts = peer.data / THEIRS.replace('.', '%2e') / 'accounts'
            assert '"stored_key"' in (accounts / 'juliet.dat').read_text()
        server = own_server()
        done = server.command('import', 'prosody', str(peer.data))
        assert {k: v[0] for k, v in rows(done.stdout).items()} == {
            'authreg': 2, 'authkeys': 2 if hashed else 6, 'active': 2, 'roster-items': 3, 'subscription requests': 1, 'vcard': 1,
            'private': 1, 'privacy-items': 1, 'privacy-default': 1, 'queue': 3}, done.stdout
        # Keys for SCRAM-SHA-1 alone: a login by PLAIN adds those that are missing.
        if hashed:
            server.domain = THEIRS
            server.start()
            assert try_login(server, 'romeo', PASSWORD, 'SCRAM-SHA-1')
            assert not try_login(server, 'romeo', PASSWORD, 'SCRAM-SHA-256')
            assert not try_login(server, 'romeo', 'wrong', 'PLAIN')
            assert try_login(server, 'romeo', PASSWORD, 'PLAIN')
            assert try_login(server, 'romeo', PASSWORD, 'SCRAM-SHA-256')
            server.stop()
        all_is_there(server, 'PLAIN', privacy=False)
    finally:
        print(peer.text()[-3000:])
        peer.remove()


class Exporting(Ejabberd):
    """An ejabberd that writes its XEP-0227 export when it is started for the second time, and ends."""

    def write(self, options):
        super().write(options)
        path = self.data / 'ejabberd.yml'
        path.write_text(path.read_text() + '  mod_private: {}\n  mod_vcard: { search: false }\n  mod_privacy: {}\n')

    def export(self):
        folder = self.data / 'export'
        folder.mkdir()
        command = self.command().removeprefix('exec ') + f""" -eval 'ejabberd_piefxis:export_server(<<"{folder}">>), init:stop().'"""
        subprocess.run(['sh', '-c', command], env=self.environment(), check=True, timeout=120, capture_output=True)
        return next(p for p in folder.iterdir() if b'<server-data' in p.read_bytes())


@pytest.mark.parametrize('hashed', [False, True])
def test_ejabberd(own_server, placement, hashed):
    need('erl', 'ejabberd')
    peer = Exporting(THEIRS, '127.0.4.9', None, options='auth_password_format: scram\n' if hashed else '')
    try:
        peer.password = PASSWORD
        peer.start()
        for name in ('juliet', 'romeo'):
            peer.user(name)
        fill(peer, privacy=True)
        peer.popen.terminate()  # in order: its database is written now and then
        peer.popen.wait()
        main = peer.export()
        server = own_server()
        done = server.command('import', 'ejabberd', str(main))
        print(done.stdout, done.stderr)
        assert {k: v[0] for k, v in rows(done.stdout).items()} == {
            'authreg': 2, 'authkeys': 2 if hashed else 6, 'active': 2, 'roster-items': 3, 'subscription requests': 1, 'vcard': 1,
            'private': 1, 'privacy-items': 1, 'privacy-default': 1, 'queue': 3}, done.stdout
        all_is_there(server, 'PLAIN', privacy=True)
    finally:
        print(peer.text()[-3000:])
        peer.remove()


def test_their_configuration(own_server, placement, tmp_path):
    """Debian's own files; what is made is a configuration that the server takes."""
    if placement.database != 'sqlite':
        return
    server = own_server()
    made = server.command('config', 'from-jabberd2', '/etc/jabberd2')
    assert 'not carried over' in made.stderr and "domains = {'localhost.localdomain'}" in made.stdout
    (tmp_path / 'jackdaw.conf').write_text(made.stdout)
    server.command('check', '--config', str(tmp_path / 'jackdaw.conf'))
    assert 'none of router.xml' in server.command('config', 'from-jabberd2', str(tmp_path), check=False).stderr
