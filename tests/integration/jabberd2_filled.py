"""An installation of jabberd2 2.7.0 (Debian's) on its own, filled through its own protocol and stopped: what an import begins with."""
import sqlite3
import time

from raw import WAIT
from test_jabberd2 import Mixed, login, register

PRIVATE = "<storage xmlns='storage:bookmarks'><conference jid='balcony@rooms.example' name='x &amp; y \u00fc'/></storage>"


def filled(path):
    """Fills jabberd2 with two users and a third who is away, and copies its database to `path`. Returns its domain."""
    them = Mixed([])
    try:
        them.start()
        them.their_router()
        sm = them.attach('sm', local__id=them.domain, storage__sqlite__dbname=them.database,
                         aci__acl__jid=f'romeo@{them.domain}')
        sm.wait_log('ready for sessions')
        them.their_c2s()
        fill(them)
    finally:
        for their in them.theirs:
            their.stop()
        with sqlite3.connect(them.database) as db, sqlite3.connect(path) as copy:
            db.backup(copy)
        them.remove()
    return them.domain


def done(client, payload, id, to=''):
    client.send(f"<iq type='set' id='{id}'{to}>{payload}</iq>")
    answer = client.wait_for('iq', id=id)
    assert answer.get('type') == 'result', id


def fill(server):
    domain = server.domain
    for name in ('romeo', 'juliet', 'nurse'):
        register(server, name)
    romeo, juliet = login(server, 'romeo', 'PLAIN'), login(server, 'juliet', 'PLAIN')
    done(romeo, f"<query xmlns='jabber:iq:roster'><item jid='juliet@{domain}' name='Juliet &lt;3'><group>Capulets</group>"
         '<group>L\u00f6ve</group></item></query>', 'r1')
    romeo.send(f"<presence to='juliet@{domain}' type='subscribe'/>")
    juliet.wait_for('presence', type='subscribe')
    juliet.send(f"<presence to='romeo@{domain}' type='subscribed'/>")
    juliet.ping()
    romeo.ping()
    done(juliet, "<vCard xmlns='vcard-temp'><FN>Juliet Capulet</FN><N><FAMILY>Capulet</FAMILY><GIVEN>Juliet</GIVEN></N>"
         "<EMAIL><USERID>juliet@verona.example</USERID></EMAIL><PHOTO><TYPE>image/png</TYPE><BINVAL>aGVsbG8=</BINVAL></PHOTO>"
         '</vCard>', 'v1')
    done(juliet, f"<query xmlns='jabber:iq:private'>{PRIVATE}</query>", 'p1')
    done(juliet, f"<query xmlns='jabber:iq:privacy'><list name='quiet'><item type='jid' value='tybalt@{domain}' action='deny' "
         "order='3'><message/></item><item type='subscription' value='both' action='allow' order='1'/>"
         "<item action='allow' order='9'/></list></query>", 'l1')
    done(juliet, "<query xmlns='jabber:iq:privacy'><default name='quiet'/></query>", 'l2')
    done(juliet, "<query xmlns='http://jabber.org/protocol/vacation'><start>2026-01-01T00:00:00Z</start><end/>"
         '<message>in Mantua</message></query>', 'a1')
    done(romeo, f"<block xmlns='urn:xmpp:blocking'><item jid='paris@{domain}'/></block>", 'b1')
    for i in range(3):
        romeo.send(f"<message to='nurse@{domain}' type='chat' id='m{i}'><body>later &lt;{i}&gt; \u00fc</body></message>")
        romeo.ping()
    romeo.send(f"<presence to='nurse@{domain}' type='subscribe'/>")
    romeo.ping()
    romeo.send(f"<message to='{domain}/announce'><subject>today</subject><body>a masked ball</body></message>")
    juliet.wait_for('message')
    for client in (romeo, juliet):
        client.end()
    wait_logouts(server)


def wait_logouts(server):
    """Until the session manager has written down that both have left."""
    until = time.monotonic() + WAIT
    while time.monotonic() < until:
        with sqlite3.connect(server.database) as db:
            if db.execute('SELECT count(*) FROM logout').fetchone()[0] == 2:
                return
        time.sleep(0.05)
    raise AssertionError('jabberd2 does not write logout times')
