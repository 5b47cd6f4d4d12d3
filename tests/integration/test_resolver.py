"""The resolver as a process of its own on the router's TCP port, asked by a component that speaks the protocol of
jabberd2.md section 1.4, against real DNS: dns_world.py.
"""
import socket
import struct
import time
import xml.etree.ElementTree as ET

import pytest

from conftest import Server
from dns_world import TLSA, Moody, World
from raw import STREAM, WAIT, Raw, local

COMPONENT = 'http://jabberd.jabberstudio.org/ns/component/1.0'
RESOLVER = 'http://jabberd.jabberstudio.org/ns/resolver/1.0'


def pytest_generate_tests(metafunc):
    """These know one placement only: processes."""


class Probe(Raw):
    """A component on the router that asks the resolver."""

    def __init__(self, server, name='probe'):
        super().__init__(server.router_port, 'jackdaw')
        secret = (server.data / 'router-secret').read_text().strip()
        self.name, self.asked = name, 0
        self.open()
        answer = self.auth_scram('jackdaw', secret)
        assert local(answer) == 'success', ET.tostring(answer)
        self.open()
        self.send(f"<bind xmlns='{COMPONENT}' name='{name}'/>")
        assert self.wait_for('bind').get('error') is None

    def open(self):
        self.restart()
        self.send(f"<stream:stream xmlns:stream='{STREAM}' to='jackdaw' version='1.0'>")
        return self.next()

    def ask(self, name, id=None):
        """Sends a question; returns its id."""
        self.asked += 1
        id = id or f'q{self.asked}'
        self.send(f"<route xmlns='{COMPONENT}' to='resolver' from='{self.name}'>"
                  f"<resolve xmlns='{RESOLVER}' type='query' name='{name}' id='{id}'/></route>")
        return id

    def answer(self, seconds=None):
        while True:
            route = self.wait_for('route', seconds)
            assert route.get('error') is None, ET.tostring(route)
            for element in route:
                if element.tag == f'{{{RESOLVER}}}resolve':
                    assert element.get('type') == 'result'
                    return element

    def resolve(self, name, seconds=None):
        id = self.ask(name)
        answer = self.answer(seconds)
        assert (answer.get('id'), answer.get('name')) == (id, name)
        return answer


def ips(answer):
    """(address, port, how) in order."""
    return [(e.text, int(e.get('port')), 'tls' if e.get('tls') == 'direct' else 'start')
            for e in answer if local(e) == 'ip']


def ttls(answer):
    return {e.text: int(e.get('ttl')) for e in answer if local(e) == 'ip'}


def near(ttl, at_most):
    """A cached TTL has gone down by the seconds since it was fetched."""
    return at_most - 60 <= ttl <= at_most


@pytest.fixture(scope='module')
def world():
    w = World()
    try:
        yield w.wait()
    finally:
        print(w.logs())
        w.close()


class Installation(Server):
    names = property(lambda self: ['router', 'resolver'])

    def start(self):
        super().start()
        until = time.monotonic() + WAIT
        while 'resolver' not in self.status()['components']['router']['names']:
            assert time.monotonic() < until, 'the resolver does not attach'
            time.sleep(0.05)
        return self


@pytest.fixture
def installation(world):
    made = []

    def make(*settings, forwarder=None, anchor=None):
        s = Installation('processes', [
            's2s.enabled=true', f'resolver.forwarders={forwarder or world.forwarder}', 'resolver.hosts=',
            f'resolver.trust_anchor={anchor or world.anchor}', 'resolver.timeout=4', *settings])
        made.append(s)
        s.start()
        return s
    yield make
    for s in made:
        print('\n'.join(f'--- {n}\n' + p.text() for n, p in s.processes.items()))
        s.remove()


@pytest.fixture(scope='module')
def shared(world):
    """One installation for the tests that break nothing."""
    s = Installation('processes', ['s2s.enabled=true', f'resolver.forwarders={world.forwarder}', 'resolver.hosts=',
                                   f'resolver.trust_anchor={world.anchor}', 'resolver.timeout=15'])
    try:
        s.start()
        yield s
        s.stop()
    finally:
        print('\n'.join(f'--- {n}\n' + p.text() for n, p in s.processes.items()))
        s.remove()


@pytest.fixture
def probe(shared):
    p = Probe(shared)
    yield p
    p.close()


def test_services_in_order_with_their_keys(probe):
    answer = probe.resolve('good.jd')
    assert answer.get('error') is None and answer.get('secure') == '1'
    found = ips(answer)
    assert [(port, how) for _, port, how in found] == [(5270, 'tls')] * 3 + [(5269, 'start')] * 4
    # IPv6 first, then in turn
    assert found[0][0] == found[3][0] == '2001:db8::1'
    assert {found[1][0], found[2][0]} == {found[4][0], found[5][0]} == {'192.0.2.1', '192.0.2.2'}
    assert found[6] == ('192.0.2.3', 5269, 'start')
    assert all(e.get('secure') == '1' for e in answer if local(e) == 'ip')
    assert [e.get('host') for e in answer if local(e) == 'ip'] == ['a.good.jd'] * 6 + ['b.good.jd']
    keys = [e for e in answer if local(e) == 'tlsa']
    assert [(k.get('host'), k.get('port'), k.get('usage'), k.get('selector'), k.get('type'), k.get('data'))
            for k in keys] == [('a.good.jd', '5269', '3', '1', '1', TLSA)]
    assert near(ttls(answer)['2001:db8::1'], 130) and near(ttls(answer)['192.0.2.3'], 110)
    assert near(int(answer.get('ttl')), 100)


def test_without_srv_the_domain_itself(probe):
    answer = probe.resolve('plain.jd')
    assert ips(answer) == [('192.0.2.10', 5269, 'start')]
    assert answer.get('secure') == '1' and near(int(answer.get('ttl')), 45)  # of the denial of SRV
    assert near(ttls(answer)['192.0.2.10'], 45)
    assert ips(probe.resolve('alias.jd')) == [('192.0.2.10', 5269, 'start')]


@pytest.mark.parametrize('name,error', [
    ('none.jd', 'no-service'), ('missing.jd', 'not-found'), ('nowhere.jd', 'not-found'), ('odd.jd', 'not-found'),
    ('bogus.jd', 'bogus'), ('loop.jd', 'timeout'), ('not a name', 'not-found'), ('a..b', 'not-found'),
    ('x' * 64 + '.jd', 'not-found'), ('.'.join(['x' * 60] * 5), 'not-found'), ('invalid', 'not-found')])
def test_what_cannot_be_reached(probe, name, error):
    answer = probe.resolve(name)
    assert (answer.get('error'), ips(answer), answer.get('secure')) == (error, [], None)


def test_a_denial_says_how_long_it_is_true(probe):
    assert near(int(probe.resolve('missing.jd').get('ttl')), 45)
    assert probe.resolve('bogus.jd').get('ttl') == '0'


def test_one_service_of_two(probe):
    assert [(port, how) for _, port, how in ips(probe.resolve('direct.jd'))] == [(443, 'tls')] * 3


def test_a_loop_of_services_ends_at_the_domain(probe):
    answer = probe.resolve('srvloop.jd')
    assert (answer.get('error'), ips(answer)) in (('not-found', []), ('timeout', []))


def test_without_signatures_nothing_is_secure(probe):
    answer = probe.resolve('unsigned.jd')
    assert ips(answer) == [('192.0.2.21', 5269, 'start')]
    assert answer.get('secure') is None and all(local(e) == 'ip' and e.get('secure') is None for e in answer)
    assert near(int(answer.get('ttl')), 70)


def test_a_false_target_is_passed_over(probe):
    answer = probe.resolve('half.jd')
    assert ips(answer) == [('192.0.2.3', 5269, 'start')]


def test_too_much_is_cut(probe):
    found = ips(probe.resolve('big.jd'))
    assert len(found) == 32 and all(ip.startswith('198.51.') for ip, _, _ in found)


def test_names_in_other_scripts(probe):
    assert ips(probe.resolve('B\u00fccher.jd')) == [('192.0.2.3', 5269, 'start')]


def test_addresses_need_no_dns(probe):
    assert ips(probe.resolve('192.0.2.99')) == [('192.0.2.99', 5269, 'start')]
    for text in ('2001:DB8:0::7', '[2001:db8::7]'):
        assert ips(probe.resolve(text)) == [('2001:db8::7', 5269, 'start')]


def test_the_question_of_jabberd2(probe):
    """No id; it cannot do direct TLS."""
    probe.send(f"<route xmlns='{COMPONENT}' to='resolver' from='{probe.name}'>"
               f"<resolve xmlns='{RESOLVER}' type='query' name='good.jd'/></route>")
    answer = probe.answer()
    assert answer.get('id') is None and {how for _, _, how in ips(answer)} == {'start'}


def test_what_is_no_question_has_no_answer(probe):
    for inner in (f"<resolve xmlns='{RESOLVER}' type='result' name='good.jd' id='x'/>",
                  f"<resolve xmlns='{RESOLVER}' type='query' id='x'/>", "<message xmlns='jabber:client'/>"):
        probe.send(f"<route xmlns='{COMPONENT}' to='resolver' from='{probe.name}'>{inner}</route>")
    assert ips(probe.resolve('plain.jd'))  # the first that is answered


def test_a_dead_server_delays_only_its_own(installation):
    """Many questions to it, and the others, asked later, are answered before; each of its own ends at its deadline. A machine that does
    not come through the others before a deadline gets a later one: if they had to wait for the dead ones no deadline would do."""
    for deadline in (4, 15, 60):
        server = installation(f'resolver.timeout={deadline}')
        probe = Probe(server)
        for i in range(100):
            probe.ask(f'n{i}.dead.jd', f'dead{i}')
        for i in range(50):
            probe.ask(f'host{i}.big.jd', f'fresh{i}')
        probe.ask('plain.jd', 'plain')
        got = {}
        while sum(not i.startswith('dead') for i in got) < 51:
            answer = probe.answer()
            got[answer.get('id')] = answer
        if len(got) < 151:
            break
    assert len(got) < 151, 'the dead server delayed others'
    assert ips(got['plain']) and len(ips(got['fresh7'])) == 6
    while len(got) < 151:
        answer = probe.answer(deadline + WAIT)
        got[answer.get('id')] = answer
    assert {got[f'dead{i}'].get('error') for i in range(100)} == {'timeout'}
    assert server.status()['components']['resolver']['pending'] == 0


def test_a_forwarder_silent_about_one_domain_is_not_dead(world, installation):
    moody = Moody(world.port, 'unsigned')
    try:
        server = installation('resolver.timeout=15', forwarder=f'127.0.0.1@{moody.port}')
        probe = Probe(server)
        for round in range(3):
            for i in range(30):
                probe.ask(f'r{round}n{i}.unsigned.jd', f'lost{round}-{i}')
            until = time.monotonic() + WAIT
            while moody.dropped < 30 * (round + 1):
                assert time.monotonic() < until, 'the questions do not reach the forwarder'
                time.sleep(0.05)
            id = probe.ask(f'host{round}.big.jd')
            while True:
                answer = probe.answer()
                if answer.get('id') == id:
                    break
            assert len(ips(answer)) == 6, 'the forwarder was taken for dead'
        assert moody.dropped > 100
    finally:
        moody.close()


def test_no_server_at_all(world, installation):
    server = installation('resolver.timeout=2', forwarder=f'127.0.0.1@{world.silent.port}')
    probe = Probe(server)
    assert probe.resolve('good.jd').get('error') == 'timeout'
    assert ips(probe.resolve('192.0.2.1'))


def test_equal_questions_share_one_lookup(world, installation):
    """A server of its own: one that has learnt that dead.jd is dead may end the lookup between two questions."""
    shared = installation(forwarder=f'127.0.0.1@{world.silent.port}')
    probe = Probe(shared)
    before = shared.status()['components']['resolver']
    for i in range(100):
        probe.ask('Shared.dead.jd' if i % 2 else 'shared.dead.jd', f's{i}')
    got = [probe.answer() for _ in range(100)]
    after = shared.status()['components']['resolver']
    assert {a.get('id') for a in got} == {f's{i}' for i in range(100)}
    assert {a.get('name') for a in got} == {'Shared.dead.jd', 'shared.dead.jd'}
    assert after['lookups'] - before['lookups'] == 1 and after['questions'] - before['questions'] == 100


def test_more_than_may_wait_are_refused_at_once(installation):
    server = installation('resolver.max_pending=20')
    probe = Probe(server)
    for i in range(50):
        probe.ask(f'n{i}.dead.jd', f'n{i}')
    refused = [probe.answer() for _ in range(30)]  # before those that wait
    assert [(a.get('id'), a.get('error')) for a in refused] == [(f'n{i}', 'timeout') for i in range(20, 50)]
    assert server.status()['components']['resolver']['refused'] == 30


def test_what_goes_away_while_waiting(shared, probe):
    """A component asks and dies: its answer is nobody's, the resolver goes on."""
    gone = Probe(shared, 'gone')
    for i in range(20):
        gone.ask(f'gone{i}.dead.jd')
    gone.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
    gone.close()
    until = time.monotonic() + WAIT
    while shared.status()['components']['resolver']['pending']:
        assert time.monotonic() < until, 'its questions wait for ever'
        time.sleep(0.1)
    assert ips(probe.resolve('plain.jd'))


def test_reload_reads_everything_anew(world, installation):
    """Other files and servers; what is under way is asked again."""
    hosts = world.folder / 'hosts'
    hosts.write_text('192.0.2.77 inhosts.jd\n')
    conf = world.folder / 'resolv.conf'
    conf.write_text('nameserver 127.0.0.1\n')
    server = installation(f'resolver.hosts={hosts}')
    probe = Probe(server)
    answer = probe.resolve('inhosts.jd')
    assert ips(answer) == [('192.0.2.77', 5269, 'start')] and answer.get('secure') is None
    hosts.write_text('192.0.2.78 inhosts.jd\n')
    id = probe.ask('waiting.dead.jd')
    assert ips(probe.resolve('192.0.2.9'))  # it has taken what was asked before
    server.processes['resolver'].signal(1)
    answer = probe.answer()
    assert (answer.get('id'), answer.get('error')) == (id, 'timeout')
    assert ips(probe.resolve('inhosts.jd')) == [('192.0.2.78', 5269, 'start')]


def test_a_wrong_anchor_is_said(world, installation, tmp_path):
    """The root's key is not the one that is trusted: nothing is found, and the log says why."""
    anchor = tmp_path / 'anchor'
    anchor.write_text('. 3600 IN DS 1 13 2 ' + '00' * 32 + '\n')
    server = installation(anchor=anchor)
    assert Probe(server).resolve('plain.jd').get('error') == 'bogus'
    assert 'trust anchor' in server.processes['resolver'].text()


def test_without_validation(installation):
    server = installation(anchor='none')
    answer = Probe(server).resolve('good.jd')
    assert len(ips(answer)) == 7 and answer.get('secure') is None
    assert not [e for e in answer if local(e) == 'tlsa']


def test_settings_that_cannot_be(installation):
    server = Installation('processes', ['s2s.enabled=true', 'resolver.hosts='])
    try:
        server.start_one('router')
        for setting, text in (('resolver.forwarders=dns.example', 'IP or IP@PORT'),
                              ('resolver.trust_anchor=/nonexistent/key', '/nonexistent/key'),
                              ('resolver.resolv_conf=/nonexistent/resolv', '/nonexistent/resolv')):
            with pytest.raises(AssertionError) as e:
                server.start_one('resolver', [setting])
            assert text in str(e.value) and server.processes['resolver'].popen.returncode == 1
    finally:
        server.remove()


def test_killed_and_back(installation):
    server = installation()
    probe = Probe(server)
    assert ips(probe.resolve('plain.jd'))
    for _ in range(3):
        probe.ask('good.jd')
        server.processes['resolver'].kill()
        server.start_one('resolver')
        until = time.monotonic() + WAIT
        while True:  # what was asked meanwhile may have come back
            probe.ask('plain.jd', 'again')
            route = probe.wait_for('route', WAIT)
            if route.get('error') is None and route[0].get('id') == 'again':
                break
            assert time.monotonic() < until
            time.sleep(0.1)
    server.stop()
