"""kill -9 of a component under traffic: clients notice a pause, not a disconnect. Only where components are apart."""
import threading
import time

import pytest

from raw import NS, WAIT, Closed, local


PLACEMENTS = ['processes']  # inline is one process: see test_life.py
DATABASES = ['sqlite', 'postgres']


@pytest.fixture
def apart(own_server):
    server = own_server('sm.unload_after=5').start()
    for name in ('romeo', 'juliet', 'mercutio'):
        server.user(name)
    yield server
    server.stop()


class Chat:
    """Sends numbered messages to itself-and-another until told to stop; notes what came and whether the stream lived."""

    def __init__(self, client, to):
        self.client, self.to = client, to
        self.sent, self.got, self.errors = 0, [], []
        self.stopping = threading.Event()
        self.broken = None
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        try:
            while not self.stopping.is_set():
                self.client.send(f"<message to='{self.to}' type='chat' id='{self.sent}'><body>{self.sent}</body></message>")
                self.sent += 1
                until = time.monotonic() + 0.01
                while time.monotonic() < until:
                    try:
                        self.take(self.client.next(0.01))
                    except TimeoutError:
                        pass
        except (Closed, OSError) as e:
            self.broken = e

    def take(self, element):
        if local(element) == 'message':
            if element.get('type') == 'error':
                self.errors.append(element)
            else:
                self.got.append(int(element.findtext('c:body', namespaces=NS)))

    def stop(self):
        self.stopping.set()
        self.thread.join()
        assert self.broken is None, f'the client was disconnected: {self.broken}'


def wait_more(chat, seconds=WAIT):
    """Until messages arrive again."""
    had = len(chat.got)
    until = time.monotonic() + seconds
    while len(chat.got) <= had:
        assert chat.broken is None, f'the client was disconnected: {chat.broken}'
        assert time.monotonic() < until, f'no message came within {seconds} s of the restart'
        time.sleep(0.02)


def started_chats(server):
    romeo, juliet = server.client('romeo'), server.client('juliet')
    for client in (romeo, juliet):
        client.send('<presence/>')
        client.ping()
    chats = [Chat(romeo, 'juliet@jackdaw.test/test'), Chat(juliet, 'romeo@jackdaw.test/test')]
    for chat in chats:
        wait_more(chat)
    return chats


@pytest.mark.parametrize('component', ['sm', 'router'])
def test_kill_under_traffic(apart, component):
    chats = started_chats(apart)
    for _ in range(2):
        apart.processes[component].kill()
        time.sleep(0.7)
        apart.start_one(component)
        for chat in chats:
            wait_more(chat)
    time.sleep(0.5)
    for chat in chats:
        chat.stop()
        assert chat.got == sorted(set(chat.got)), 'out of order, or twice'
    # sessions are what they were: presence and roster work, and messages to the bare JID arrive
    for chat in chats:
        chat.client.nothing(0.3)
    chats[0].client.send("<message to='juliet@jackdaw.test' type='chat' id='bare'><body>-1</body></message>")
    while True:
        got = chats[1].client.wait_for('message')
        if got.get('id') == 'bare':
            break
    for chat in chats:
        chat.client.ping()
        chat.client.end()


def test_login_while_the_sm_is_away(apart):
    """Told at once, or served when it is back; never left hanging."""
    apart.processes['sm'].kill()
    time.sleep(0.5)
    with pytest.raises((Closed, AssertionError, TimeoutError)):
        apart.client('mercutio')
    apart.start_one('sm')
    until = time.monotonic() + WAIT
    while True:
        try:
            client = apart.client('mercutio', 'again')
            break
        except (Closed, AssertionError):
            assert time.monotonic() < until, 'nobody can log in after the sm has come back'
            time.sleep(0.2)
    client.ping()
    client.end()


def test_offline_messages_survive_the_sm(apart):
    romeo = apart.client('romeo')
    romeo.send("<message to='mercutio@jackdaw.test' type='chat'><body>kept</body></message>")
    romeo.ping()
    time.sleep(0.3)
    apart.processes['sm'].kill()
    apart.start_one('sm')
    mercutio = apart.client('mercutio')
    mercutio.send('<presence/>')
    assert mercutio.wait_for('message').findtext('c:body', namespaces=NS) == 'kept'
    mercutio.end()
    romeo.end()


def test_presence_after_c2s_died(apart):
    """c2s gone: its sessions end, contacts are told, the others start anew."""
    romeo = apart.client('romeo')
    romeo.send('<presence/>')
    romeo.ping()
    apart.processes['c2s'].kill()
    with pytest.raises((Closed, OSError)):
        romeo.wait_for('nothing', 5)
    apart.start_one('c2s')
    again = apart.client('romeo')  # the same resource: the dead session is no conflict
    again.send('<presence/>')
    again.ping()
    again.end()
