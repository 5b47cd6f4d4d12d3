"""External components (XEP-0114): a gateway written with slixmpp, one from Debian (biboumi), and bytes that no honest one sends."""
import asyncio
import hashlib
import logging
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import pytest
import slixmpp

from conftest import DOMAIN, Server, need
from raw import STREAM, WAIT, Raw, local

THREADS = True

GATEWAY, IRC, IDLE = f'gw.{DOMAIN}', f'irc.{DOMAIN}', f'idle.{DOMAIN}'
SECRET = 'a secret: with colons'
SETTINGS = [f'router.components={GATEWAY}:{SECRET},{IRC}:for biboumi,{IDLE}:unused']
INFO, ITEMS = 'http://jabber.org/protocol/disco#info', 'http://jabber.org/protocol/disco#items'


@pytest.fixture(scope='module')
def server(placement):
    s = Server(placement, SETTINGS)
    try:
        s.start()
        s.user('romeo')
        yield s
        s.stop()
    finally:
        s.remove()


class Gateway(slixmpp.ComponentXMPP):
    """Answers disco and version by slixmpp's plugins, and every message by its own name."""

    def __init__(self, server, answer='heard', secret=SECRET):
        super().__init__(GATEWAY, secret, '127.0.0.1', server.router_port)
        self.register_plugin('xep_0030')
        self.register_plugin('xep_0092', {'software_name': 'gateway', 'version': '7'})
        self.register_plugin('xep_0199')
        self['xep_0030'].add_identity(category='gateway', itype='test', name='A gateway')
        self.answer = answer
        self.heard = []
        self.started, self.gone, self.error = asyncio.Event(), asyncio.Event(), None
        self.add_event_handler('session_start', lambda e: self.started.set())
        self.add_event_handler('message', self.on_message)
        self.add_event_handler('stream_error', self.on_error)
        self.add_event_handler('disconnected', lambda e: self.gone.set())

    def on_message(self, message):
        self.heard.append(message['body'])
        if message['type'] != 'error':
            reply = message.reply()
            reply['body'] = f'{self.answer}: {message["body"]}'
            reply.send()

    def on_error(self, error):
        self.error = error['condition']

    async def come(self):
        self.connect()
        await asyncio.wait_for(self.started.wait(), WAIT)
        return self

    async def leave(self):
        self.disconnect()
        await asyncio.wait_for(self.gone.wait(), WAIT)


async def off_loop(function, *arguments):
    """A blocking client beside slixmpp's loop."""
    return await asyncio.get_running_loop().run_in_executor(None, function, *arguments)


def ask(client, to, payload, identity='q'):
    client.send(f"<iq type='get' id='{identity}' to='{to}'>{payload}</iq>")
    return client.wait_for('iq', id=identity)


def items(client):
    answer = ask(client, DOMAIN, f"<query xmlns='{ITEMS}'/>")
    return sorted(item.get('jid') for item in answer.iter(f'{{{ITEMS}}}item'))


def condition(stanza):
    found = [local(e) for e in stanza.iter() if e.tag.startswith('{urn:ietf:params:xml:ns:xmpp-stanzas}')]
    return found[0] if found else None


def talk(client, to, text):
    client.send(f"<message to='{to}' type='chat' id='{text}'><body>{text}</body></message>")
    return client.wait_for('message')


def body(message):
    return message.findtext('{jabber:client}body')


def run(coroutine):
    logging.getLogger('slixmpp').setLevel(logging.CRITICAL)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        return loop.run_until_complete(asyncio.wait_for(coroutine, 10 * WAIT))
    finally:
        for task in asyncio.all_tasks(loop):  # slixmpp's own, which outlive a stream
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()


def until_attached(server, count):
    """Until the router knows of so many gateways."""
    until = time.monotonic() + WAIT
    while True:
        entry = server.status()['components']['router']['names'].get(GATEWAY)
        if len(entry['components'] if entry else []) == count:
            return
        assert time.monotonic() < until, f'the router says {entry}'
        time.sleep(0.05)


def discover(client):
    assert items(client) == [GATEWAY]
    info = ask(client, GATEWAY, f"<query xmlns='{INFO}'/>")
    assert info.find(f'.//{{{INFO}}}identity').get('category') == 'gateway'
    version = ask(client, GATEWAY, "<query xmlns='jabber:iq:version'/>")
    assert version.findtext('.//{jabber:iq:version}name') == 'gateway'
    answer = talk(client, f'somebody@{GATEWAY}/x', 'hello')
    assert answer.get('from') == f'somebody@{GATEWAY}/x' and body(answer) == 'heard: hello'


def test_a_gateway_by_slixmpp(server):
    async def main():
        gateway = await Gateway(server).come()
        client = await off_loop(server.client, 'romeo')
        await off_loop(discover, client)
        # And from its side: what a server says, a user who is away, and the way back.
        version = await gateway['xep_0092'].get_version(DOMAIN, ifrom=GATEWAY)
        assert version['software_version']['name'] == 'Jackdaw'
        with pytest.raises(slixmpp.exceptions.IqError) as refused:
            await gateway['xep_0092'].get_version(f'nobody@{DOMAIN}', ifrom=GATEWAY)
        # Not refused.value.condition: slixmpp 1.8.3 looks for <error/> in jabber:client, not in its stream's namespace.
        assert condition(refused.value.iq.xml) == 'service-unavailable'
        await gateway.leave()
        await off_loop(until_attached, server, 0)
        answer = await off_loop(talk, client, GATEWAY, 'too late')
        assert answer.get('type') == 'error' and condition(answer) == 'remote-server-not-found'
        assert await off_loop(items, client) == []
        client.close()
    run(main())


def test_several_instances(server):
    async def main():
        one, two = await Gateway(server, 'one').come(), await Gateway(server, 'two').come()
        client = await off_loop(server.client, 'romeo')
        first = [body(await off_loop(talk, client, f'room{i}@{GATEWAY}', 'x')) for i in range(30)]
        again = [body(await off_loop(talk, client, f'room{i}@{GATEWAY}', 'x')) for i in range(30)]
        assert set(first) == {'one: x', 'two: x'} and again == first  # shared, each room at one place
        two.abort()
        await off_loop(until_attached, server, 1)
        assert {body(await off_loop(talk, client, f'room{i}@{GATEWAY}', 'x')) for i in range(30)} == {'one: x'}
        await one.leave()
        client.close()
    run(main())


def test_a_wrong_secret_by_slixmpp(server):
    async def main():
        gateway = Gateway(server, secret='guessed')
        gateway.connect()
        await asyncio.wait_for(gateway.gone.wait(), WAIT)
        assert gateway.error == 'not-authorized' and not gateway.started.is_set()
        gateway.abort()
    run(main())


def test_a_subscription_to_a_gateway(server):
    async def main():
        gateway = Gateway(server)
        gateway.roster.auto_authorize = gateway.roster.auto_subscribe = None
        asked = asyncio.Queue()
        gateway.add_event_handler('presence_subscribe', asked.put_nowait)
        await gateway.come()
        client = await off_loop(server.client, 'romeo')
        client.send("<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq><presence/>")
        client.send(f"<presence type='subscribe' to='bot@{GATEWAY}'/>")
        request = await asyncio.wait_for(asked.get(), WAIT)
        assert request['from'] == f'romeo@{DOMAIN}' and request['to'] == f'bot@{GATEWAY}'
        gateway.send_presence(pto=request['from'], pfrom=request['to'], ptype='subscribed')
        gateway.send_presence(pto=request['from'], pfrom=f'bot@{GATEWAY}/1', pstatus='here')
        await off_loop(lambda: client.wait_for('presence', type='subscribed', from_=f'bot@{GATEWAY}'))
        seen = await off_loop(lambda: client.wait_for('presence', from_=f'bot@{GATEWAY}/1'))
        assert seen.findtext('{jabber:client}status') == 'here'
        client.send(f"<presence type='unsubscribe' to='bot@{GATEWAY}'/>")
        client.close()
        await gateway.leave()
    run(main())


# ---- bytes ----

def component(server, name, secret):
    """A logged-in component, or the stream error that it got."""
    client = Raw(server.router_port, name)
    client.send(f"<stream:stream xmlns='jabber:component:accept' xmlns:stream='{STREAM}' to='{name}'>")
    until = time.monotonic() + WAIT
    while client.header is None and time.monotonic() < until:
        client._read(0.1)
    identity = client.header.get('id') or ''
    client.send(f'<handshake>{hashlib.sha1((identity + secret).encode()).hexdigest()}</handshake>')
    return client


def ended_by(server, text, namespace='jabber:component:accept', to=GATEWAY):
    client = Raw(server.router_port, GATEWAY)
    to = f" to='{to}'" if to else ''
    client.send(f"<stream:stream xmlns='{namespace}' xmlns:stream='{STREAM}'{to}>{text}")
    found, _ = client.stream_error()
    client.close()
    return found


def test_who_is_refused(server):
    assert ended_by(server, '', to=DOMAIN) == 'host-unknown'  # a domain of users
    assert ended_by(server, '', to='other.test') == 'host-unknown'
    assert ended_by(server, '', to='sm') == 'host-unknown'
    assert ended_by(server, '', to='') == 'improper-addressing'
    assert ended_by(server, '', namespace='jabber:component:connect') == 'invalid-namespace'
    assert ended_by(server, '', namespace='jabber:client') == 'invalid-namespace'
    stanza = f"<message from='{GATEWAY}' to='romeo@{DOMAIN}'><body>no</body></message>"
    assert ended_by(server, stanza) == 'not-authorized'
    assert ended_by(server, '<handshake>' + 'a' * 40 + '</handshake>' + stanza) == 'not-authorized'
    assert ended_by(server, '<handshake>' + 'a' * 100000) == 'policy-violation'


def test_what_a_component_may_not_send(server):
    for stanza, expected in [
            (f"<message from='romeo@{DOMAIN}' to='romeo@{DOMAIN}'><body>no</body></message>", 'invalid-from'),
            (f"<message from='x@{IRC}' to='romeo@{DOMAIN}'><body>no</body></message>", 'invalid-from'),
            ("<bind xmlns='http://jabberd.jabberstudio.org/ns/component/1.0' name='sm'/>", 'unsupported-stanza-type'),
            (f"<message from='{GATEWAY}' to='romeo@{DOMAIN}'>" + '<a>' * 300, 'policy-violation'),
            (f"<message from='{GATEWAY}' to='romeo@{DOMAIN}'><body>" + 'x' * 1100000, 'policy-violation')]:
        client = component(server, GATEWAY, SECRET)
        assert local(client.next()) == 'handshake'
        client.send(stanza)
        assert client.stream_error()[0] == expected, stanza[:80]
        client.close()


def test_the_log_of_wrong_handshakes_is_limited(own_server):
    server = own_server(*SETTINGS)
    server.start()
    for _ in range(40):
        assert component(server, GATEWAY, 'guessed').stream_error()[0] == 'not-authorized'
    lines = [line for line in server.of('router').log if 'wrong handshake' in line]
    assert 1 <= len(lines) <= 10 and not any(SECRET in line for line in lines)
    server.stop()


def test_a_component_that_is_away(server):
    """At once, whatever the stanza."""
    client = server.client('romeo')
    answer = talk(client, f'x@{IDLE}', 'anybody there')
    assert answer.get('type') == 'error' and condition(answer) == 'remote-server-not-found'
    assert condition(ask(client, IDLE, f"<query xmlns='{INFO}'/>")) == 'remote-server-not-found'
    client.close()


# ---- biboumi ----

class Biboumi:
    def __init__(self, server):
        self.data = Path(tempfile.mkdtemp(prefix='jackdaw-biboumi-'))
        config = self.data / 'biboumi.cfg'
        config.write_text(f'hostname={IRC}\npassword=for biboumi\nxmpp_server_ip=127.0.0.1\nport={server.router_port}\n'
                          f'db_name={self.data}/biboumi.sqlite\nlog_file={self.data}/log\nlog_level=0\nidentd_port=0\n')
        self.popen = subprocess.Popen(['biboumi', str(config)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                      stderr=subprocess.STDOUT, cwd=self.data)

    def text(self):
        log = self.data / 'log'
        return log.read_text(errors='replace')[-3000:] if log.exists() else ''

    def remove(self):
        if self.popen.poll() is None:
            self.popen.kill()
        self.popen.wait()
        shutil.rmtree(self.data, ignore_errors=True)


def await_item(client, name, biboumi, seconds=WAIT):
    until = time.monotonic() + seconds
    while name not in items(client):
        assert biboumi.popen.poll() is None and time.monotonic() < until, 'biboumi does not attach:\n' + biboumi.text()
        time.sleep(0.1)


def test_biboumi(own_server):
    need('biboumi', 'biboumi')
    server = own_server(*SETTINGS)
    server.start()
    server.user('romeo')
    biboumi = Biboumi(server)
    try:
        client = server.client('romeo')
        await_item(client, IRC, biboumi)
        info = ask(client, IRC, f"<query xmlns='{INFO}'/>")
        identity = info.find(f'.//{{{INFO}}}identity')
        assert identity.get('category') == 'conference' and identity.get('type') == 'irc'
        version = ask(client, IRC, "<query xmlns='jabber:iq:version'/>")
        assert version.findtext('.//{jabber:iq:version}name') == 'biboumi'
        # A room on an IRC server that is not there: its own words, as an error presence.
        client.send(f"<presence to='#room%127.0.0.1@{IRC}/romeo'><x xmlns='http://jabber.org/protocol/muc'/></presence>")
        client.wait_for('message', WAIT, from_=f'127.0.0.1@{IRC}')
        if server.placement == 'processes':  # it comes again by itself when the router does
            server.processes['router'].kill()
            server.start_one('router')
            await_item(client, IRC, biboumi, 60)
            version = ask(client, IRC, "<query xmlns='jabber:iq:version'/>")
            assert version.findtext('.//{jabber:iq:version}name') == 'biboumi'
        client.close()
        server.stop()
    finally:
        biboumi.remove()


def test_check_tells_what_is_wrong(own_server):
    done = own_server(f'router.components={DOMAIN}:hidden1,a b:hidden2,{GATEWAY}').command('check', check=False)
    told = done.stdout + done.stderr
    assert done.returncode == 1 and 'hidden' not in told.replace(f'{DOMAIN}:hidden1,a b:hidden2', '')
    assert 'domain of users' in told and '"a b" is no domain name' in told and 'item 3' in told
