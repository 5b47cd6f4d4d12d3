"""Sessions whose streams are alive when c2s and sm die together are resumed (docs/decisions/0089-board.md): after kill -9 of the whole
server in every placement, after an orderly stop, by slixmpp; and not when the login was revoked meanwhile."""
import asyncio
import os
import stat
import time

import pytest

from raw import NS, Raw, local
from test_tables import Person, run

THREADS = True
SM = "xmlns='urn:xmpp:sm:3'"


class Phone:
    """A client with XEP-0198 that counts."""

    def __init__(self, server, name, resource='phone'):
        self.server, self.name, self.h = server, name, 0
        self.raw = server.client(name, resource)
        self.raw.send(f"<enable {SM} resume='true'/>")
        self.id = self.raw.wait_for('enabled').get('id')
        self.raw.send('<presence/>')
        self.presence = self.raw.wait_for('presence')
        self.h = 1

    def tell(self, to, body):
        self.raw.send(f"<message to='{to}@{self.server.domain}' type='chat'><body>{body}</body></message>")

    def acknowledged(self, count):
        """Asks until so many stanzas are."""
        h = -1
        until = time.monotonic() + 60
        while h < count and time.monotonic() < until:
            self.raw.send(f'<r {SM}/>')
            h = int(self.raw.wait_for('a').get('h'))
            time.sleep(0.02)
        assert h == count
        return h

    def hear(self):
        self.h += 1
        body = self.raw.wait_for('message').findtext('c:body', namespaces=NS)
        self.raw.send(f"<a {SM} h='{self.h}'/>")
        return body

    def back(self, password=None):
        """The answer to <resume/>."""
        self.raw = Raw(self.server.port, self.server.domain, self.server.ca)
        self.raw.open()
        self.raw.starttls()
        self.raw.open()
        assert local(self.raw.auth_scram(self.name, password or self.server.password, 'SCRAM-SHA-256')) == 'success'
        self.raw.open()
        self.raw.send(f"<resume {SM} previd='{self.id}' h='{self.h}'/>")
        return self.raw.next()


def kill_all(server):
    for name in server.names:
        server.processes[name].popen.kill()
    for name in server.names:
        server.processes[name].kill()


def test_resumed_after_kill_9(verona):
    phones = {name: Phone(verona, name) for name in ('romeo', 'juliet', 'nurse')}
    romeo, juliet = phones['romeo'], phones['juliet']
    told = {name: phone.acknowledged(1) for name, phone in phones.items()}
    kill_all(verona)
    for _ in range(2):  # and once more
        verona.start()
        for board in (verona.data / 'run').glob('*.board'):
            assert stat.S_IMODE(os.stat(board).st_mode) == 0o600
        for name, phone in phones.items():
            answer = phone.back()
            assert local(answer) == 'resumed', name
            assert int(answer.get('h')) == told[name]
        juliet.tell('romeo', 'awake')
        assert romeo.hear() == 'awake'
        told['juliet'] = juliet.acknowledged(told['juliet'] + 1)
        kill_all(verona)
    verona.start()
    verona.stop()


def test_resumed_after_an_orderly_stop(verona):
    phone = Phone(verona, 'romeo')
    told = phone.acknowledged(1)
    verona.stop()
    for board in (verona.data / 'run').glob('*.board'):
        board.unlink()  # as if the machine had been started anew: what counts is in the database
    verona.start()
    answer = phone.back()
    assert local(answer) == 'resumed'
    assert int(answer.get('h')) == told
    verona.stop()


@pytest.mark.parametrize('how', ['passwd', 'passwd later', 'disable', 'del'])
def test_not_when_the_login_was_revoked(verona, how):
    phone, other = Phone(verona, 'romeo'), Phone(verona, 'juliet')
    jid = f'romeo@{verona.domain}'
    kill_all(verona)
    if how == 'passwd later':
        verona.start()
    if how.startswith('passwd'):
        verona.command('user', 'passwd', jid, '--password-stdin', stdin='another\n')
    elif how == 'disable':
        verona.command('user', 'disable', jid)
        verona.command('user', 'enable', jid)
    else:
        verona.command('user', 'del', jid)
        verona.user('romeo')
    if how != 'passwd later':
        verona.start()
    assert local(phone.back('another' if how.startswith('passwd') else None)) == 'failed'
    assert local(other.back()) == 'resumed', 'another account is not concerned'
    verona.stop()


def test_slixmpp(verona):
    """A client that we did not write comes back to its session and gets what was sent meanwhile."""
    async def story():
        romeo = Person(verona, 'romeo')
        romeo.register_plugin('xep_0198')
        resumed, enabled = asyncio.Event(), asyncio.Event()
        romeo.add_event_handler('session_resumed', lambda e: resumed.set())
        romeo.add_event_handler('sm_enabled', lambda e: enabled.set())
        await romeo.come()
        await asyncio.wait_for(enabled.wait(), 90)
        await romeo['xep_0199'].ping(verona.domain, timeout=90)
        session = romeo['xep_0198'].sm_id
        romeo.gone.clear()
        kill_all(verona)
        await asyncio.wait_for(romeo.gone.wait(), 90)
        verona.start()
        juliet = Phone(verona, 'juliet')
        juliet.tell('romeo', 'meanwhile')
        juliet.acknowledged(2)
        romeo.connect(('127.0.0.1', verona.port))
        await asyncio.wait_for(resumed.wait(), 90)
        assert romeo['xep_0198'].sm_id == session
        assert (await asyncio.wait_for(romeo.messages.get(), 90))['body'] == 'meanwhile'
        romeo.send_message(f'juliet@{verona.domain}', 'here again', mtype='chat')
        assert await asyncio.to_thread(juliet.hear) == 'here again'
        await romeo.leave()

    run(story())
    verona.stop()
