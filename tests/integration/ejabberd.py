"""Debian's ejabberd 23.01 as the other server, run like prosody.py: on one node without distribution, so that nothing but
its own two ports is opened."""
import os

from prosody import Prosody
from raw import Raw


class Ejabberd(Prosody):
    program, package = 'erl', 'ejabberd'
    loglevel = 'debug'

    def write(self, options):
        (self.data / 'both.pem').write_bytes((self.data / 'cert.pem').read_bytes() + (self.data / 'key.pem').read_bytes())
        (self.data / 'spool').mkdir()
        (self.data / 'ejabberd.yml').write_text(f'''
hosts: ["{self.domain}"]
loglevel: {self.loglevel}
certfiles: ["{self.data}/both.pem"]
ca_file: "{self.ca}"
{options}
listen:
  - port: {self.port}
    ip: "{self.ip}"
    module: ejabberd_c2s
    starttls: true
    access: all
  - port: {self.s2s_port}
    ip: "{self.ip}"
    module: ejabberd_s2s_in
auth_method: internal
registration_timeout: infinity
shaper_rules:
  offline: 100000
access_rules:
  register: {{ allow: all }}
modules:
  mod_disco: {{}}
  mod_offline: {{ access_max_user_messages: offline }}
  mod_ping: {{}}
  mod_register: {{ access: register, access_from: all, ip_access: all }}
  mod_roster: {{}}
  mod_s2s_dialback: {{}}
  mod_stream_mgmt: {{}}
''')

    def command(self):
        return f"exec erl +K true -noinput -mnesia dir '\"{self.data}/spool\"' -s ejabberd"

    def environment(self):
        return dict(os.environ, ERL_LIBS='/usr/lib/x86_64-linux-gnu', EJABBERD_CONFIG_PATH=str(self.data / 'ejabberd.yml'),
                    EJABBERD_LOG_PATH=str(self.data / 'log'), SPOOL_DIR=str(self.data / 'spool'),
                    ERL_CRASH_DUMP='/dev/null', HOME=str(self.data))

    def user(self, name):
        client = Raw(self.port, self.domain, self.ca, ip=self.ip)
        client.open()
        client.starttls()
        client.open()
        client.send(f"<iq type='set' id='reg'><query xmlns='jabber:iq:register'><username>{name}</username>"
                    f'<password>{self.password}</password></query></iq>')
        assert client.wait_for('iq', id='reg').get('type') == 'result'
        client.close()
