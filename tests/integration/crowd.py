"""Many clients in one thread that write to each other without pause, and the account of what became of every message: how
often it was delivered, when, in which order, whether it came back, whether its sender was told that the server has it."""
import collections
import itertools
import random
import selectors
import ssl
import time

from raw import NS, WAIT, Closed, local

SM = 'urn:xmpp:sm:3'


class Message:
    """`acked`: when the server acknowledged it to its sender (reliability.md C.1); None: it has not."""

    def __init__(self, sender, to, number):
        self.sender, self.to, self.number = sender, to, number
        self.sent = time.monotonic()
        self.acked = None
        self.delivered, self.bounced = [], []
        self.undelayed = 0  # later copies that do not say so
        self.arrival = None  # its place among all first copies

    def __repr__(self):
        return (f'{self.sender} -> {self.to} no. {self.number} sent {self.sent:.2f} acked {self.acked} '
                f'delivered {self.delivered} bounced {self.bounced}')


class Member:
    """One account. `connect` makes an authenticated Raw, not bound; `to` are the bare JIDs it writes to, in turn; a star in one
    stands for another number each time. With `acks` it speaks XEP-0198: comes back to its session, and then sends again what was
    not acknowledged; without, that is lost."""

    def __init__(self, jid, connect, to, acks=False):
        self.jid, self.connect, self.to, self.acks = jid, connect, to, acks
        self.raw, self.out, self.turn = None, b'', 0
        self.next_try, self.resumed = 0, 0
        self.session = None  # its SM-ID
        self.unacked = collections.deque()  # (Message, bytes)

    def login(self):
        self.raw = self.connect()
        self.out, self.asked = b'', False
        if not self.session or not self.resume():
            self.begin()
        self.raw.sock.setblocking(False)

    def begin(self):
        self.raw.bind('test')
        if self.acks:
            self.raw.send(f"<enable xmlns='{SM}' resume='true'/>")
            self.session = self.raw.wait_for('enabled').get('id')
            self.heard = self.told = 0  # their stanzas, and how many of ours they have handled
            self.unacked.clear()
        self.raw.send('<presence/>')
        if self.acks:
            self.unacked.append((Message(self.jid, None, 0), b'<presence/>'))

    def resume(self):
        """XEP-0198 section 5. False when the session is no more."""
        self.raw.send(f"<resume xmlns='{SM}' previd='{self.session}' h='{self.heard}'/>")
        answer = self.raw.next()
        if local(answer) != 'resumed':
            self.session = None
            return False
        self.acknowledged(int(answer.get('h')))
        self.out = b''.join(xml for _, xml in self.unacked)
        self.resumed += 1
        return True

    def acknowledged(self, h):
        for _ in range((h - self.told) % 2**32):
            self.unacked.popleft()[0].acked = time.monotonic()
        self.told = h

    def write(self, message, xml):
        self.out += xml
        if self.acks:
            self.unacked.append((message, xml))

    def ask(self):
        if self.acks and self.unacked and not self.asked:
            self.out += f"<r xmlns='{SM}'/>".encode()
            self.asked = True

    def management(self, element):
        """Counts; true when it was no stanza."""
        if element.tag == f'{{{SM}}}r':
            self.out += f"<a xmlns='{SM}' h='{self.heard}'/>".encode()
        elif element.tag == f'{{{SM}}}a':
            self.acknowledged(int(element.get('h')))
            self.asked = False
        elif local(element) in ('message', 'presence', 'iq'):
            self.heard += 1
            return False
        return True

    def flush(self):
        while self.out:
            try:
                n = self.raw.sock.send(self.out)
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError, BlockingIOError):
                return
            except OSError:
                self.out = b''  # the connection has ended; what came before that is still to be read
                return
            self.out = self.out[n:]

    def receive(self):
        """The elements that have come, and why the connection has ended, or None."""
        why = None
        try:
            while why is None:
                data = self.raw.sock.recv(65536)
                if not data:
                    why = 'closed'
                self.raw._feed(data)
        except (ssl.SSLWantReadError, BlockingIOError):
            pass
        except OSError as e:
            why = str(e)
        if self.raw.ended:
            why = 'the stream was ended'
        elements, self.raw.elements = self.raw.elements, []
        return elements, why


class Crowd:
    """`pause`: seconds between two messages of one member. Everything happens in run()."""

    def __init__(self, members, pause=0.1, seed=1):
        self.members = members
        self.by_jid = {m.jid: m for m in members}
        self.messages = {}  # id -> Message
        self.arrivals = itertools.count()
        self.latest = {}  # (sender, recipient) -> when the last message that has arrived was sent
        self.pause, self.writing = pause, True
        self.numbers = collections.Counter()
        self.losses = []  # (when, jid, why): connections that ended
        self.random = random.Random(seed)
        self.selector = selectors.DefaultSelector()
        for m in members:
            m.due = time.monotonic() + self.random.random() * pause
            self.enter(m)

    def enter(self, member):
        self.by_jid[member.jid] = member
        if member not in self.members:
            self.members.append(member)
        member.login()
        self.selector.register(member.raw.sock, selectors.EVENT_READ, member)

    def leave(self, member):
        self.selector.unregister(member.raw.sock)
        member.raw.sock.setblocking(True)
        member.raw.end()
        self.members.remove(member)
        del self.by_jid[member.jid]

    def pairs(self):
        """Those whose recipient is somebody of this crowd."""
        return [(m.jid, to) for m in self.members for to in m.to if to in self.by_jid]

    def write(self, member, to):
        to = to.replace('*', str(len(self.messages)))
        self.numbers[member.jid, to] += 1
        number = self.numbers[member.jid, to]
        message = self.messages[f'{member.jid}>{to}>{number}'] = Message(member.jid, to, number)
        member.write(message, (f"<message to='{to}' type='chat' id='{member.jid}&gt;{to}&gt;{number}'>"
                               f'<body>{number}</body></message>').encode())

    def take(self, member, element):
        if member.acks and member.management(element) or local(element) != 'message':
            return
        message = self.messages.get(element.get('id'))
        assert message, f'{member.jid} got what nobody sent: {element.attrib}'
        now = time.monotonic()
        if element.get('type') == 'error':
            assert member.jid == message.sender
            message.bounced.append(now)
            return
        assert member.jid == message.to and element.get('from').split('/')[0] == message.sender
        assert element.findtext('c:body', namespaces=NS) == str(message.number)
        if not message.delivered:
            message.arrival = next(self.arrivals)
            self.latest[message.sender, message.to] = max(message.sent, self.latest.get((message.sender, message.to), 0))
        else:
            message.undelayed += element.find('{urn:xmpp:delay}delay') is None
        message.delivered.append(now)

    def lost(self, member, why):
        self.losses.append((time.monotonic(), member.jid, why))
        self.selector.unregister(member.raw.sock)
        member.raw.close()
        member.raw, member.next_try = None, time.monotonic() + 0.2

    def come_back(self, member):
        try:
            member.login()
        except (OSError, Closed, AssertionError, TimeoutError):
            member.raw, member.next_try = None, time.monotonic() + 0.2
            return
        self.selector.register(member.raw.sock, selectors.EVENT_READ, member)

    def step(self):
        """One round: what is due is written, what has come is read."""
        now = time.monotonic()
        for m in self.members:
            if m.raw is None:
                if now >= m.next_try:
                    self.come_back(m)
                continue
            if self.writing and m.to and now >= m.due:
                m.due = now + self.pause
                self.write(m, m.to[m.turn % len(m.to)])
                m.turn += 1
            m.ask()
            m.flush()
        for key, _ in self.selector.select(0.01):
            m = key.data
            elements, why = m.receive()
            for element in elements:
                self.take(m, element)
            if why:
                self.lost(m, why)

    def burst(self, each):
        """Everybody writes so much at once; one round."""
        for m in self.members:
            for to in m.to * each if m.raw else []:
                self.write(m, to)
        self.step()

    def run(self, until, seconds=30, what='it does not come to pass'):
        """Goes on until the condition holds."""
        end = time.monotonic() + seconds
        while not until():
            assert time.monotonic() < end, what() if callable(what) else what
            self.step()

    def run_for(self, seconds):
        end = time.monotonic() + seconds
        self.run(lambda: time.monotonic() >= end, seconds + 60)

    def behind(self, moment):
        """The pairs of which nothing that was sent after that moment has arrived."""
        return [pair for pair in self.pairs() if self.latest.get(pair, 0) < moment]

    def run_until_heard(self, moment, seconds=WAIT):
        """Until every pair has got something through that was sent after that moment."""
        self.run(lambda: not self.behind(moment), seconds, lambda: f'nothing arrives of {self.behind(moment)[:5]}')

    def finish(self):
        """One last message for each pair: what has not arrived when they have is not on its way any more."""
        moment = time.monotonic()
        self.run_until_heard(moment)
        self.writing = False
        last = time.monotonic()
        for m in self.members:
            for to in m.to:
                self.write(m, to)
        self.run_until_heard(last)
        self.run(lambda: not any(m.unacked for m in self.members), 30,
                 lambda: f'not acknowledged: {[m.unacked[0][0] for m in self.members if m.unacked][:3]}')


def next_arrival(pair_messages, message):
    later = [m.delivered[0] for m in pair_messages if m.number > message.number and m.delivered]
    return min(later, default=float('inf'))


def account(messages, faults):
    """Of messages of which no more comes, and of faults, each with `begun` (the kill) and `over` (everything flows again).
    Returns the sums, having asserted: a message arrived or came back; or it was lost in a fault, which is: sent before that
    was over, and nothing later of its pair arrived before it began. It did so once, and once more at most for each fault
    between its sending and its last copy (reliability.md G3, G5). What was acknowledged was not lost (G1)."""
    sums = collections.Counter()
    by_pair = collections.defaultdict(list)
    for m in messages:
        by_pair[m.sender, m.to].append(m)
    for m in messages:
        copies, back = len(m.delivered), len(m.bounced)
        end = max(m.delivered + m.bounced, default=0)
        between = sum(m.sent <= f.over and f.begun <= end for f in faults)
        sums['sent'] += 1
        sums['arrived'] += copies > 0
        sums['came back'] += back > 0
        sums['twice'] += max(copies - 1, 0)
        sums['twice without delay'] += m.undelayed
        sums['acknowledged'] += m.acked is not None
        assert copies + back <= 1 + between, f'too often: {m}'
        assert m.acked is None or copies + back, f'acknowledged and lost: {m}'
        if copies + back == 0:
            sums['lost in a fault'] += 1
            arrival = next_arrival(by_pair[m.sender, m.to], m)
            assert any(m.sent <= f.over and f.begun <= arrival for f in faults), f'lost without a fault: {m}'
    return sums


def overtakings(messages):
    """(message, earlier one of the same pair that arrived after it)"""
    by_pair = collections.defaultdict(list)
    for m in messages:
        if m.delivered:
            by_pair[m.sender, m.to].append(m)
    for arrived in by_pair.values():
        arrived.sort(key=lambda m: m.arrival)
        for i, m in enumerate(arrived[1:]):
            if m.number < arrived[i].number:
                yield arrived[i], m
