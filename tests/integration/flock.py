"""Hundreds of clients in one thread, none of which ever waits: each speaks XEP-0198, comes back to its session when its connection is
lost (or begins a new one, where the server has forgotten it), sends again what was not acknowledged, and notes every copy of every
message with the id it has in the archive. What a server may do to them is in reliability.md C.1; Flock.judge says where it did not.

No TLS and the least of XML (expat's events): the clients are to be many, and the server is what is tested."""
import base64
import collections
import hashlib
import hmac
import itertools
import os
import random
import selectors
import socket
import time
from xml.parsers import expat

SM = 'urn:xmpp:sm:3'
MAM = 'urn:xmpp:mam:2'
SID = 'urn:xmpp:sid:0'
CLIENT = 'jabber:client'
STREAM = 'http://etherx.jabber.org/streams'
RETRY = 0.1  # seconds between two attempts to connect
PATIENCE = 20  # for a login


class Element:
    """A first-level element: `parts` are all elements below it, (name, attributes), in the order of their start tags."""

    def __init__(self, name, attributes):
        self.name, self.attributes, self.parts, self.body = name, attributes, [], ''

    def part(self, name):
        return next((a for n, a in self.parts if n == name), None)


class Message:
    """`acked`: the server has acknowledged it to its sender. `copies`: the stanza-id of each that arrived."""
    __slots__ = ('id', 'sender', 'to', 'number', 'kills', 'acked', 'copies', 'errors', 'unmarked')

    def __init__(self, sender, to, number, kills):
        self.id = f'{sender}>{to}>{number}'
        self.sender, self.to, self.number, self.kills = sender, to, number, kills
        self.acked, self.copies, self.errors, self.unmarked = False, [], 0, 0

    def __repr__(self):
        return f'{self.id} (acknowledged: {self.acked}, copies: {self.copies}, errors: {self.errors})'


class Bird:
    """One client. Its `script` is the login under way, a generator that is sent each element; None: it is online."""
    salted = {}

    def __init__(self, flock, name, friends):
        self.flock, self.name, self.friends = flock, name, friends
        self.jid = f'{name}@{flock.domain}'
        self.turn = 0
        self.sock = None
        self.online = False
        self.session = None  # its SM-ID
        self.unacked = collections.deque()  # (Message or None, bytes)
        self.heard = self.told = 0  # their stanzas; ours that they have acknowledged
        self.asked = False
        self.archive = []  # what its archive has: (id there, id, sender)
        self.archive_done = None

    # ---- the connection ----

    def connect(self):
        self.sock = socket.socket()
        self.sock.setblocking(False)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.connect_ex(('127.0.0.1', self.flock.port))
        self.out, self.since = b'', time.monotonic()
        self.watched = selectors.EVENT_READ | selectors.EVENT_WRITE
        self.flock.selector.register(self.sock, self.watched, self)
        self.script = self.login()
        next(self.script)

    def disconnect(self):
        if self.sock:
            self.flock.selector.unregister(self.sock)
            self.sock.close()
            self.flock.lost += self.online
        self.sock, self.online, self.script = None, False, None
        self.flock.retry.append((time.monotonic() + RETRY, self))

    def send(self, data):
        self.out += data if isinstance(data, bytes) else data.encode()
        self.flush()

    def flush(self):
        if self.out and self.sock:
            try:
                self.out = self.out[self.sock.send(self.out):]
            except BlockingIOError:
                pass
            except OSError:
                self.out = b''  # it has ended: what came before that is still to be read
        self.watch()

    def watch(self):
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if self.out else 0)
        if self.sock and wanted != self.watched:
            self.watched = wanted
            self.flock.selector.modify(self.sock, wanted, self)

    def on_event(self, mask):
        if mask & selectors.EVENT_WRITE:
            self.flush()
        if mask & selectors.EVENT_READ:
            try:
                data = self.sock.recv(65536)
            except BlockingIOError:
                return
            except OSError:
                data = b''
            if not data:
                self.disconnect()
                return
            self.parser.Parse(data)

    # ---- XML ----

    def open(self):
        self.depth, self.element = 0, None
        self.parser = expat.ParserCreate(namespace_separator=' ')
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self.on_start
        self.parser.EndElementHandler = self.on_end
        self.parser.CharacterDataHandler = self.on_text
        self.send(f"<stream:stream xmlns='{CLIENT}' xmlns:stream='{STREAM}' to='{self.flock.domain}' version='1.0'>")

    def on_start(self, name, attributes):
        if self.depth == 1:
            self.element = Element(name, attributes)
        elif self.depth > 1:
            self.element.parts.append((name, attributes))
        self.depth += 1

    def on_text(self, text):
        if self.depth > 1:
            self.element.body += text

    def on_end(self, _):
        self.depth -= 1
        if self.depth == 1 and self.sock:
            self.on_element(self.element)

    # ---- the way in ----

    def login(self):
        self.open()
        yield
        nonce = base64.b64encode(os.urandom(18)).decode()
        first = f'n={self.name},r={nonce}'
        self.send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='SCRAM-SHA-256'>" +
                  base64.b64encode(b'n,,' + first.encode()).decode() + '</auth>')
        challenge = yield
        if not challenge.name.endswith(' challenge'):
            return
        self.send(self.proof(first, base64.b64decode(challenge.body).decode()))
        success = yield
        if not success.name.endswith(' success'):
            return
        self.open()
        yield
        if self.session:
            self.send(f"<resume xmlns='{SM}' previd='{self.session}' h='{self.heard}'/>")
            answer = yield
            if answer.name == SM + ' resumed':
                self.flock.resumed += 1
                self.acknowledged(int(answer.attributes['h']))
                self.begin()
                return
            self.session = None
            self.flock.refused += 1
        self.send("<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>r</resource></bind></iq>")
        bound = yield
        if bound.attributes.get('type') != 'result':
            return
        self.send(f"<enable xmlns='{SM}' resume='true'/>")
        enabled = yield
        if enabled.name != SM + ' enabled':
            return
        self.session, self.heard, self.told = enabled.attributes['id'], 0, 0
        kept = [u for u in self.unacked if u[0]]
        self.unacked = collections.deque([(None, b'<presence/>'), *kept])
        self.begin()

    def begin(self):
        """What was not acknowledged is sent, again, and before anything else."""
        self.online, self.asked = True, False
        self.send(b''.join(xml for _, xml in self.unacked))
        self.ask()

    def proof(self, first, text):
        parts = dict(p.split('=', 1) for p in text.split(','))
        key = parts['s'], parts['i']
        if key not in self.salted:
            self.salted[key] = hashlib.pbkdf2_hmac('sha256', self.flock.password.encode(), base64.b64decode(key[0]), int(key[1]))
        final = f'c=biws,r={parts["r"]}'
        client_key = hmac.digest(self.salted[key], b'Client Key', 'sha256')
        signature = hmac.digest(hashlib.sha256(client_key).digest(), f'{first},{text},{final}'.encode(), 'sha256')
        proof = base64.b64encode(bytes(a ^ b for a, b in zip(client_key, signature))).decode()
        return ("<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>" +
                base64.b64encode(f'{final},p={proof}'.encode()).decode() + '</response>')

    # ---- online ----

    def on_element(self, element):
        if not self.online:
            try:
                self.script.send(element)
            except StopIteration:
                if not self.online:
                    self.disconnect()
            return
        if element.name == SM + ' r':
            self.send(f"<a xmlns='{SM}' h='{self.heard}'/>")
        elif element.name == SM + ' a':
            self.asked = False
            self.acknowledged(int(element.attributes['h']))
            self.ask()
        elif element.name in (CLIENT + ' message', CLIENT + ' presence', CLIENT + ' iq'):
            self.heard += 1
            if element.name == CLIENT + ' message':
                self.on_message(element)
            elif element.attributes.get('id') == 'archive':
                self.on_archive(element)

    def acknowledged(self, h):
        count = (h - self.told) % 2**32
        assert count <= len(self.unacked), f'{self.name}: h={h} is more than it has sent'
        for _ in range(count):
            message, _ = self.unacked.popleft()
            if message and not message.acked:
                message.acked = True
                self.flock.acked += 1
        self.told = h

    def ask(self):
        if self.online and self.unacked and not self.asked:
            self.asked = True
            self.send(f"<r xmlns='{SM}'/>")

    def write(self, stanza, message=None):
        xml = stanza.encode()
        self.unacked.append((message, xml))
        if self.online:
            self.send(xml)
            self.ask()

    def speak(self):
        to = self.friends[self.turn % len(self.friends)]
        self.turn += 1
        m = self.flock.message(self.name, to)
        self.write(f"<message to='{to}@{self.flock.domain}' type='chat' id='{self.name}&gt;{to}&gt;{m.number}'>"
                   f'<body>{m.number}</body></message>', m)

    def on_message(self, element):
        result = element.part(MAM + ' result')
        if result:
            inner = element.part(CLIENT + ' message')
            self.archive.append((result['id'], inner['id'], inner['from'].split('@')[0]))
            return
        message = self.flock.messages.get(element.attributes.get('id'))
        if not message:
            self.flock.wrong.append(f'{self.name} got what nobody sent: {element.attributes}')
        elif element.attributes.get('type') == 'error':
            message.errors += 1
        else:
            sid = next((a['id'] for n, a in element.parts if n == SID + ' stanza-id' and a.get('by') == self.jid), None)
            self.flock.arrived(self, message, sid, element.part('urn:xmpp:delay delay') is not None)

    # ---- its archive: XEP-0313 section 4, XEP-0059 ----

    def read_archive(self):
        self.archive, self.archive_done = [], False
        self.next_page('')

    def next_page(self, after):
        self.write(f"<iq type='set' id='archive'><query xmlns='{MAM}'><set xmlns='http://jabber.org/protocol/rsm'>"
                   f"<max>100</max>{after and f'<after>{after}</after>'}</set></query></iq>")

    def on_archive(self, element):
        assert element.attributes['type'] == 'result', element.parts
        if element.part(MAM + ' fin').get('complete') == 'true':
            self.archive_done = True
        else:
            self.next_page(self.archive[-1][0])


class Flock:
    """`names` write to each other, each to the next three; together one message every `pause` seconds, while `writing`."""

    def __init__(self, port, domain, password, names, pause, seed=1):
        self.port, self.domain, self.password = port, domain, password
        self.random = random.Random(seed)
        self.selector = selectors.DefaultSelector()
        self.retry = collections.deque()  # (when, Bird), in order
        self.messages, self.fresh = {}, []  # all by id; those of this round
        self.numbers, self.latest = collections.Counter(), collections.Counter()
        self.wrong = []
        self.kills = self.acked = self.resumed = self.refused = self.lost = self.sent_again = 0
        self.birds = [Bird(self, n, [names[(i + k) % len(names)] for k in (1, 2, 3)]) for i, n in enumerate(names)]
        self.writers = itertools.cycle(self.birds)
        self.pause, self.writing, self.due = pause, False, 0
        for bird in self.birds:
            bird.connect()

    def message(self, sender, to):
        self.numbers[sender, to] += 1
        m = Message(sender, to, self.numbers[sender, to], self.kills)
        self.messages[m.id] = m
        self.fresh.append(m)
        return m

    def arrived(self, bird, m, sid, marked):
        if bird.name != m.to:
            self.wrong.append(f'{bird.name} got {m}')
        if not m.copies:
            pair = m.sender, m.to
            if m.number < self.latest[pair]:
                self.wrong.append(f'no. {self.latest[pair]} overtook {m}')
            self.latest[pair] = m.number
        else:
            m.unmarked += not marked  # G3: a later copy says that it is one (XEP-0203)
        m.copies.append(sid)
        if len(m.copies) > 1 + self.kills - m.kills:
            self.wrong.append(f'{len(m.copies)} times after {self.kills - m.kills} deaths: {m}')

    def step(self):
        now = time.monotonic()
        while self.retry and self.retry[0][0] <= now:
            self.retry.popleft()[1].connect()
        while self.writing and now >= self.due:
            self.due = max(self.due + self.pause, now - 0.1)
            next(self.writers).speak()
        for key, mask in self.selector.select(0.005):
            if key.data.sock is key.fileobj:
                key.data.on_event(mask)

    def run(self, until, seconds, what):
        """Goes on until the condition holds."""
        end = checked = time.monotonic()
        end += seconds
        while not until():
            self.step()
            now = time.monotonic()
            assert now < end, what() if callable(what) else what
            if now - checked > 1:
                checked = now
                for bird in self.birds:
                    if bird.sock and not bird.online and now - bird.since > PATIENCE:
                        bird.disconnect()

    def burst(self):
        for bird in self.birds:
            bird.speak()

    def settle(self, seconds):
        """Nobody writes; until everything has been acknowledged, and has arrived. What was acknowledged and does not come is lost:
        all that is not acknowledged is sent again, so in the end nothing may be missing."""
        self.writing = False
        self.run(lambda: all(b.online and not b.unacked for b in self.birds), seconds, lambda: 'not acknowledged: ' + str(
            [(b.name, b.online, [str(m) for m, _ in b.unacked][:2]) for b in self.birds if not b.online or b.unacked][:3]))
        self.run(lambda: all(m.copies for m in self.fresh), seconds,
                 lambda: f'acknowledged and lost: {[m for m in self.fresh if not m.copies][:5]}')
        self.fresh = []

    def read_archives(self, seconds):
        for bird in self.birds:
            bird.read_archive()
        self.run(lambda: all(b.archive_done for b in self.birds), seconds, 'the archives cannot be read')

    def judge(self):
        """What does not balance, as sentences; and the sums. The archives have been read."""
        wrong = list(self.wrong)
        sums = collections.Counter(sent=len(self.messages), acknowledged=self.acked, resumed=self.resumed, begun_anew=self.refused,
                                   disconnected=self.lost)
        expected = collections.defaultdict(set)
        for m in self.messages.values():
            expected[m.sender].add(m.id)
            expected[m.to].add(m.id)
            sums['copies'] += len(m.copies)
            sums['twice'] += len(m.copies) > 1
            if len(set(m.copies)) > 1:  # G3: delivered before its row was written, or not
                sums['twice, other id'] += 1
                wrong.append(f'came again with another id: {m}')
            if m.unmarked:
                wrong.append(f'came again without <delay/>: {m}')
            sums['errors'] += m.errors
            if m.errors:
                wrong.append(f'came back: {m}')
        for bird in self.birds:
            sums['archived'] += len(bird.archive)
            wrong += self.judge_archive(bird, expected[bird.name])
        return wrong, sums

    def judge_archive(self, bird, expected):
        """Each message once, in the order in which it was sent, under the id that its recipient was told (G2)."""
        count = collections.Counter(i for _, i, _ in bird.archive)
        for i in expected - set(count):
            yield f'not in the archive of {bird.name}: {self.messages[i]}'
        latest = collections.Counter()
        for where, i, sender in bird.archive:
            m = self.messages.get(i)
            if not m or count[i] > 1:
                yield f'{count[i]} times in the archive of {bird.name}: {m}'
                continue
            if m.number < latest[sender, m.to]:
                yield f'behind no. {latest[sender, m.to]} in the archive of {bird.name}: {m}'
            latest[sender, m.to] = m.number
            if m.to == bird.name and where != m.copies[-1]:
                yield f'in the archive of {bird.name} as {where}: {m}'
