"""nbxmpp, the library under Gajim, as a client in a test: it runs on GLib's loop, which turns while somebody waits in until()."""
import time

import gi

gi.require_version('Soup', '3.0')
from gi.repository import Gio, GLib  # noqa: E402
from nbxmpp.client import Client  # noqa: E402
from nbxmpp.const import ConnectionProtocol, ConnectionType  # noqa: E402
from nbxmpp.namespaces import Namespace  # noqa: E402
from nbxmpp.protocol import JID, Iq, Message, Presence  # noqa: E402
from nbxmpp.simplexml import Node  # noqa: E402
from nbxmpp.structs import StanzaHandler  # noqa: E402

WAIT = 90


def until(what, condition):
    """Turns the loop until condition() holds."""
    context = GLib.MainContext.default()
    end = time.monotonic() + WAIT
    tick = GLib.timeout_add(50, lambda: True)  # wakes the loop: nothing may come at all
    try:
        while not condition():
            assert time.monotonic() < end, f'{what}: not within {WAIT} s'
            context.iteration(True)
    finally:
        GLib.source_remove(tick)


class Nb:
    """One device. What came in stands in lists: messages as (body, properties), presences, events of the stream."""

    def __init__(self, server, name, resource, port=None):
        self.server, self.name = server, name
        self.messages, self.presences, self.events, self.pushes = [], [], [], []
        self.client = Client(log_context=f'{name}/{resource}')
        self.client.set_domain(server.domain)
        self.client.set_username(name)
        self.client.set_resource(resource)
        self.client.set_password(server.password)
        self.client.set_custom_host(f'127.0.0.1:{port or server.port}', ConnectionProtocol.TCP, ConnectionType.START_TLS)
        for pem in (server.data / 'certificates').glob('*.pem'):
            self.trust(pem)
        for event in ('connected', 'resume-successful', 'resume-failed', 'disconnected', 'connection-failed'):
            self.client.subscribe(event, self.on_event)
        for kind, callback in (('message', self.on_message), ('presence', self.on_presence)):
            self.client.register_handler(StanzaHandler(name=kind, callback=callback, priority=60))
        self.client.register_handler(StanzaHandler(name='iq', callback=self.on_push, priority=60, typ='set',
                                                   ns=Namespace.BLOCKING))

    def trust(self, pem):
        if 'key' in pem.name:
            return
        trusted = Gio.TlsCertificate.new_from_pem(pem.read_text(), -1)
        self.client.set_accepted_certificates([*self.client._accepted_certificates, trusted])

    # ---- what comes ----

    def on_event(self, _client, event):
        self.events.append(event)

    def on_message(self, _client, _stanza, properties):
        self.messages.append((properties.body, properties))

    def on_presence(self, _client, stanza, properties):
        self.presences.append((str(stanza.getFrom()), properties.status))

    def on_push(self, _client, _stanza, properties):
        self.pushes.append(properties.blocking)

    def bodies(self):
        return [body for body, _ in self.messages if body]

    def wait(self, *events):
        """One of these has happened since the last wait(); returns it."""
        until(' or '.join(events), lambda: any(e in self.events for e in events))
        found = next(e for e in self.events if e in events)
        self.events.clear()
        return found

    def wait_bodies(self, bodies):
        until(f'{self.name} to get {bodies[-1]}', lambda: len(self.bodies()) >= len(bodies))
        assert self.bodies() == bodies

    # ---- what goes ----

    def come(self, presence=True):
        """Logged in, or where its stream was cut."""
        self.client.connect()
        event = self.wait('connected', 'resume-successful', 'connection-failed')
        assert event != 'connection-failed'
        if presence and event == 'connected':
            self.send(Presence())
            own = str(self.client.get_bound_jid())
            until('its own presence', lambda: own in [jid for jid, _ in self.presences])
            self.presences.clear()
        return self

    def leave(self):
        self.client.disconnect()
        self.wait('disconnected')
        self.client.destroy()

    def send(self, stanza):
        self.client.send_stanza(stanza)

    def say(self, to, text):
        self.send(Message(to=to, body=text, typ='chat'))

    def state(self, name):
        """Client state indication: nbxmpp leaves its two words to Gajim, which writes them so."""
        self.client.send_nonza(Node(f'urn:xmpp:csi:0 {name}'))

    def ask(self, stanza):
        """The answer to an iq."""
        answers = []
        self.client.send_stanza(stanza, callback=lambda _client, answer: answers.append(answer))
        until('an answer', lambda: answers)
        assert not answers[0].isError(), str(answers[0])
        return answers[0]

    def task(self, module, name, *arguments, **more):
        """The result of one of nbxmpp's own requests; raises its error."""
        done, failed = [], []

        def on_done(task):  # whose result is gone behind this
            try:
                done.append(task.finish())
            except Exception as error:
                failed.append(error)

        getattr(self.client.get_module(module), name)(*arguments, callback=on_done, **more)
        until(f'{module}.{name}', lambda: done or failed)
        if failed:
            raise failed[0]
        return done[0]

    def settle(self):
        """All that was under way to this device has come."""
        self.task('Ping', 'ping', self.server.domain)

    def carbons(self):
        iq = Iq('set')
        iq.addChild('enable', namespace=Namespace.CARBONS)
        self.ask(iq)
