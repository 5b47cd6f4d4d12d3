"""SQL that fills an archive (XEP-0313) with many messages at once, in the tables of each server.

All are of the account u0, a second apart and up to an hour ago (what was measured before stands in the same archive), from a hundred correspondents. What a message looks like is what each server
writes when it archives one itself.
"""
import sqlite3
import time

BODY = 'But soft, what light through yonder window breaks? It is the east, and Juliet is the sun. Arise, fair sun.'


def message(domain, namespace=''):
    """A piece of SQL that makes the stanza of row i."""
    return (f"'<message{namespace} from=\"u' || (1 + i % 100) || '@{domain}/r0\" to=\"u0@{domain}\" type=\"chat\" id=\"m' || i || '\">"
            f"<body>{BODY}</body></message>'")


def rows(count, insert, columns):
    return (f'WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {count - 1}) '
            f'INSERT INTO {insert} SELECT {columns} FROM n')


def begin(count):
    """Seconds since 1970 of the first row."""
    return int(time.time()) - 3600 - count


def microseconds(count):
    return f'{begin(count)}000000 + i * CAST(1000000 AS BIGINT)'


def jackdaw(domain, count):
    columns = (f"'u' || (1 + i % 100) || '@{domain}', 'r0', 'u0@{domain}', 'r0', 0, {microseconds(count)}, i, 'm' || i, 300, "
               + message(domain, ' xmlns="jabber:client"'))
    return rows(count, '"mam" ("from", "from-resource", "to", "to-resource", "sent-mark", "received-at", "received-mark", "stanza", "size",'
                ' "xml")', columns)


def prosody(domain, count):
    columns = (f"'{domain}', 'u0', 'archive', 'k' || i, {begin(count)} + i, 'u' || (1 + i % 100) || '@{domain}', 'xml', " + message(domain))
    return rows(count, '"prosodyarchive" ("host", "user", "store", "key", "when", "with", "type", "value")', columns)


def ejabberd(domain, count):
    peer = f"'u' || (1 + i % 100) || '@{domain}'"
    columns = (f"'u0', {microseconds(count)}, {peer} || '/r0', {peer}, " + message(domain, ' xmlns="jabber:client"')
               + f", '{BODY}', 'chat', ''")
    return rows(count, 'archive (username, timestamp, peer, bare_peer, xml, txt, kind, nick)', columns)


def fill_sqlite(path, sql):
    database = sqlite3.connect(path)
    database.execute(sql)
    database.commit()
    database.close()
