"""Stream management (XEP-0198) with the real server: slixmpp, and clients that count everything while components are
killed with -9. The accounting is reliability.md C.1: what was acknowledged is not lost, first copies keep their order."""
import asyncio
import socket
import threading
import time

import pytest

from raw import NS, WAIT, Closed, Raw, local
from test_two_users import Person

SM = "xmlns='urn:xmpp:sm:3'"


class Steady:
    """A client as XEP-0198 wants it: keeps what is not acknowledged, comes back whatever happens, counts."""

    def __init__(self, server, name, to):
        self.server, self.name, self.to = server, name, to
        self.previd = None
        self.sent, self.handled, self.unacked = 0, 0, []  # numbers of ours: sent, acknowledged in this session, not yet
        self.stream_h = 0  # the last h of the server in this session
        self.out = []      # stanzas sent in this session that are not acknowledged: number or None
        self.h = 0         # stanzas of the server's
        self.acknowledged, self.got, self.errors = set(), [], []
        self.resumed = self.bound = 0
        self.broken = []  # connections that were there
        self.raw = None
        self.stopping, self.paused, self.resting = threading.Event(), threading.Event(), threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    # ---- coming ----

    def come(self):
        raw = Raw(self.server.port, self.server.domain, self.server.ca)
        raw.open()
        raw.starttls()
        raw.open()
        assert local(raw.auth_scram(self.name, self.server.password, 'SCRAM-SHA-256')) == 'success'
        raw.open()
        if self.previd:
            raw.send(f"<resume {SM} previd='{self.previd}' h='{self.h}'/>")
            answer = raw.next()
            if local(answer) == 'resumed':
                self.resumed += 1
                self.raw = raw
                self.on_h(int(answer.get('h')))
                for number in self.out:
                    self.write(number)
                return
        raw.bind('steady')
        raw.send(f"<enable {SM} resume='true'/>")
        enabled = raw.wait_for('enabled')
        self.previd, self.h, self.stream_h = enabled.get('id'), 0, 0
        self.bound += 1
        self.raw = raw
        again, self.out = [n for n in self.out if n is not None], []
        self.give(None)
        for number in again:
            self.give(number)

    # ---- out ----

    def write(self, number):
        if number is None:
            self.raw.send('<presence/>')
        else:
            self.raw.send(f"<message to='{self.to}' type='chat' id='{number}'><body>{number}</body></message>")

    def give(self, number):
        self.out.append(number)
        self.write(number)

    def on_h(self, h):
        for number in self.out[:h - self.stream_h]:
            if number is not None:
                self.acknowledged.add(number)
        del self.out[:h - self.stream_h]
        self.stream_h = h

    # ---- in ----

    def take(self, element):
        kind = local(element)
        if kind in ('message', 'presence', 'iq'):
            self.h += 1
        if kind == 'r':
            self.raw.send(f"<a {SM} h='{self.h}'/>")
        elif kind == 'a':
            self.on_h(int(element.get('h')))
        elif kind == 'message' and element.get('type') == 'error':
            self.errors.append(element)
        elif kind == 'message':
            self.got.append(int(element.findtext('c:body', namespaces=NS)))

    def run(self):
        while not self.stopping.is_set():
            try:
                if self.raw is None:
                    self.come()
                if self.paused.is_set():
                    self.resting.set()
                else:
                    self.sent += 1  # first: when the connection breaks in it, the number is given all the same
                    self.give(self.sent - 1)
                self.raw.send(f'<r {SM}/>')
                until = time.monotonic() + 0.02
                while time.monotonic() < until:
                    try:
                        self.take(self.raw.next(0.01))
                    except TimeoutError:
                        pass
            except (Closed, OSError, TimeoutError, AssertionError) as e:
                if self.raw:
                    self.broken.append(repr(e)[-200:])
                    self.raw.close()
                self.raw = None
                time.sleep(0.1)

    def settle(self, seconds=WAIT):
        """No more messages; until all are acknowledged."""
        self.resting.clear()
        self.paused.set()
        until = time.monotonic() + seconds
        while not self.resting.is_set() or any(n is not None for n in self.out) or self.raw is None:
            assert time.monotonic() < until, f'{self.name}: {self.out[:5]} not acknowledged after {seconds} s'
            time.sleep(0.05)

    def stop(self):
        self.stopping.set()
        self.thread.join()
        if self.raw:
            self.raw.close()


def balance(sender, receiver, copies):
    """G1, G3, G4."""
    missing = sender.acknowledged - set(receiver.got)
    assert not missing, f'{len(missing)} acknowledged messages are lost, e.g. {sorted(missing)[:5]}'
    first = list(dict.fromkeys(receiver.got))
    assert first == sorted(first), 'out of order'
    most = max(receiver.got.count(n) for n in set(receiver.got))
    assert most <= copies, f'{most} copies; broken: {sender.broken}, {receiver.broken}'
    assert not receiver.errors and not sender.errors


def more(*clients, seconds=WAIT):
    """Until each has got something more."""
    had = [len(c.got) for c in clients]
    until = time.monotonic() + seconds
    while any(len(c.got) <= n for c, n in zip(clients, had)):
        assert time.monotonic() < until, f'nothing came in {seconds} s'
        time.sleep(0.05)


def catch_up(one, other):
    """A pause: until all that the two have sent each other has been acknowledged and is there."""
    for c in (one, other):
        c.settle()
    until = time.monotonic() + WAIT
    while not one.acknowledged <= set(other.got) or not other.acknowledged <= set(one.got):
        assert time.monotonic() < until, 'what was acknowledged does not arrive'
        time.sleep(0.05)
    for c in (one, other):
        c.paused.clear()


def cut(*clients):
    """The connection of each; until all have come back by another. What a client has read already it may still take
    meanwhile: that something came is no sign that it is back."""
    had = [(c, c.raw, c.resumed + c.bound) for c in clients]
    for _, raw, _ in had:
        if raw:
            socket.socket.shutdown(raw.sock, socket.SHUT_RDWR)  # not SSLSocket's, which goes on in the clear
    until = time.monotonic() + WAIT
    for c, _, n in had:
        while c.resumed + c.bound == n:
            assert time.monotonic() < until, f'{c.name} does not come back'
            time.sleep(0.05)


@pytest.fixture
def pair(own_server):
    server = own_server('sm.outbox_after=300').start()
    for name in ('romeo', 'juliet'):
        server.user(name)
    clients = [Steady(server, 'romeo', f'juliet@{server.domain}'), Steady(server, 'juliet', f'romeo@{server.domain}')]
    yield (server, *clients)
    for c in clients:
        c.stop()


def finish(server, romeo, juliet, kills):
    for c in (romeo, juliet):
        c.settle()
    until = time.monotonic() + WAIT
    while (romeo.acknowledged - set(juliet.got) or juliet.acknowledged - set(romeo.got)) and time.monotonic() < until:
        time.sleep(0.05)
    balance(romeo, juliet, kills + 1)
    balance(juliet, romeo, kills + 1)
    assert len(romeo.acknowledged) == romeo.sent and len(juliet.acknowledged) == juliet.sent


@pytest.mark.parametrize('component', ['sm', 'router', 'c2s'])
def test_kill_under_traffic(pair, component):
    server, romeo, juliet = pair
    for _ in range(3):
        more(romeo, juliet)
        server.of(component).kill()
        name = component if server.placement == 'processes' else 'serve'
        time.sleep(0.3)
        server.start_one(name)
        catch_up(romeo, juliet)  # so that no message is older than one kill
    finish(server, romeo, juliet, 1)
    if server.placement == 'processes' and component == 'c2s':
        assert romeo.resumed >= 3 and juliet.resumed >= 3 and romeo.bound == juliet.bound == 1


def test_connections_cut(pair):
    """Nothing at all comes twice: both sides know what the other has."""
    server, romeo, juliet = pair
    for _ in range(5):
        more(romeo, juliet)
        cut(romeo, juliet)
    more(romeo, juliet)
    finish(server, romeo, juliet, 0)
    for c in (romeo, juliet):
        assert c.bound == 1 and c.resumed >= 5, f'{c.name}: bound {c.bound} times, resumed {c.resumed} times'


def test_slixmpp(own_server):
    """A client that we did not write: enabled, acknowledged, cut, resumed."""
    server = own_server().start()
    for name in ('romeo', 'juliet'):
        server.user(name)

    async def story():
        romeo, juliet = (Person(server, n, server.password) for n in ('romeo', 'juliet'))
        for p in (romeo, juliet):
            p.register_plugin('xep_0198')
        resumed = asyncio.Event()
        juliet.add_event_handler('session_resumed', lambda e: resumed.set())
        await romeo.come()
        await juliet.come()
        sm = juliet.plugin['xep_0198']
        for _ in range(100):
            if sm.enabled_in and sm.enabled_out:
                break
            await asyncio.sleep(0.1)
        assert sm.enabled_in and sm.sm_id
        for i in range(10):
            romeo.send_message(juliet.boundjid.bare, str(i), mtype='chat')
        for i in range(10):
            assert (await asyncio.wait_for(juliet.messages.get(), WAIT))['body'] == str(i)
        juliet.transport.abort()
        await asyncio.wait_for(juliet.gone.wait(), WAIT)
        for i in range(10, 20):
            romeo.send_message(juliet.boundjid.bare, str(i), mtype='chat')
        juliet.connect(('127.0.0.1', server.port), force_starttls=True)
        await asyncio.wait_for(resumed.wait(), WAIT)
        for i in range(10, 20):
            assert (await asyncio.wait_for(juliet.messages.get(), WAIT))['body'] == str(i)
        for p in (romeo, juliet):
            p.disconnect()
        await asyncio.sleep(0.2)

    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        loop.run_until_complete(asyncio.wait_for(story(), 10 * WAIT))
    finally:
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        loop.close()
    server.stop()
