/* jabberd2's configuration as ours: what is made is taken by our own reader and says the same; what
 * has no place here is named. */
#include "unit.h"

#include <sys/stat.h>
#include <unistd.h>

#include "config/config.h"
#include "move/jabberd2_config.h"

static char notes[16384];

static void say(void *arg, const char *text)
{
    size_t len = strlen(notes);
    snprintf(notes + len, sizeof notes - len, "%s\n", text);
}

static void refuse(void *arg, const char *message)
{
    fail_msg("%s", message);
}

static void write_file(const char *dir, const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static enum error make(const char *dir, struct buffer *out, char why[512], uint64_t *left_out)
{
    struct move_notes n = {.say = say};
    notes[0] = why[0] = '\0';
    buffer_init(out, 1 << 20);
    enum error e = jabberd2_config(dir, out, &n, (struct move_why){why, 512});
    *left_out = n.left_out;
    return e;
}

static void remove_dir(const char *dir)
{
    static const char *const names[] = {"c2s.xml", "sm.xml",    "router.xml",
                                        "s2s.xml", "users.xml", "roster.xml"};
    char path[256];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        (void)unlink(path);
    }
    (void)rmdir(dir);
}

static void test_everything(void **state)
{
    char dir[] = "/tmp/jackdaw-config-XXXXXX", why[512], router[1024];
    struct buffer out;
    uint64_t left_out;
    assert_non_null(mkdtemp(dir));
    write_file(dir, "c2s.xml",
               "<?xml version='1.0'?><!-- c --><c2s><local>"
               "<id pemfile='/etc/a.pem' require-starttls='true' register-enable='true' "
               "instructions=\"it's \\ open\">a.example</id><id realm='x'>b.example</id>"
               "<ip>127.0.0.1</ip><ip>::1</ip><port> 5999 </port></local>"
               "<io><limits><stanzasize>100</stanzasize></limits><compression/></io>"
               "<authreg><module>pipe</module><pipe><exec>/usr/bin/auth  -v</exec></pipe></authreg>"
               "</c2s>");
    char sm[2048];
    snprintf(
        sm, sizeof sm,
        "<sm><local><id>a.example</id></local><aci><acl type='all'><jid>root@a.example</jid>"
        "<jid>boss@a.example</jid></acl><acl type='broadcast'><jid>x@a.example</jid></acl></aci>"
        "<storage><driver>pgsql</driver><pgsql><host>db</host><port>5433</port>"
        "<dbname>j</dbname><user>u</user></pgsql></storage>"
        "<offline><userquota>77</userquota></offline><roster><maxitems>0</maxitems></roster>"
        "<status><resource>web</resource></status>"
        "<user><template><roster>%s/roster.xml</roster></template></user></sm>",
        dir);
    write_file(dir, "sm.xml", sm);
    write_file(dir, "roster.xml",
               "<query xmlns='jabber:iq:roster'><!-- c -->\n"
               "<item name='Help &amp; &lt;desk&gt;' jid='help@a.example' subscription='none'>"
               "<group>Support</group></item><item jid='x@a.example'/><item name='nobody'/>"
               "</query>");
    snprintf(router, sizeof router,
             "<router><local><ip>10.0.0.1</ip><port>5348</port><users>%s/users.xml</users>"
             "<secret>s</secret></local><aliases><alias name='c.example' target='a.example'/>"
             "</aliases></router>",
             dir);
    write_file(dir, "router.xml", router);
    write_file(dir, "users.xml",
               "<users><user><name>jabberd</name><secret>secret</secret></user>"
               "<user><name>gw</name><secret>${deep} 'q'</secret></user></users>");
    assert_int_equal(make(dir, &out, why, &left_out), ERR_OK);
    struct config *c = config_load_text("made", buffer_str(&out), refuse, NULL);
    assert_non_null(c);
    assert_int_equal(c->server_domains.count, 2);
    assert_string_equal(c->server_domains.items[1], "b.example");
    assert_int_equal(c->server_admins.count, 2);
    assert_int_equal(c->c2s_port, 5999);
    assert_int_equal(c->c2s_max_stanza, 10000); /* the least there is */
    assert_int_equal(c->c2s_address.count, 2);
    assert_string_equal(c->auth_driver, "program");
    assert_int_equal(c->auth_program.count, 2);
    assert_string_equal(c->router_address, "10.0.0.1");
    assert_string_equal(c->router_users.items[0], "gw:${deep} 'q':all");
    assert_int_equal(c->router_users.count, 1);
    assert_string_equal(c->router_aliases.items[0], "c.example=a.example");
    assert_int_equal(c->sm_max_offline, 77);
    assert_int_equal(c->sm_max_roster, 2000); /* no limit of theirs: ours */
    assert_false(c->s2s_enabled);             /* there is no s2s.xml */
    assert_true(c->sm_web_presence);
    assert_int_equal(c->sm_template_roster.count, 2);
    assert_string_equal(c->sm_template_roster.items[0], "help@a.example=Help & <desk>");
    assert_string_equal(c->sm_template_roster.items[1], "x@a.example=");
    const struct config *a = config_for(c, STR("a.example"));
    assert_string_equal(a->domain_certificate, "/etc/a.pem");
    assert_string_equal(a->domain_instructions, "it's \\ open");
    assert_true(a->domain_register);
    assert_false(config_for(c, STR("b.example"))->domain_register);
    buffer_add_char(&out, '\0');
    assert_non_null(strstr(buffer_str(&out).data, "--postgres postgresql://u@db:5433/j"));
    static const char *const told[] = {
        "compression",    "realm \"x\"",  "\"broadcast\"", "jabberd,",   "stanzasize",
        "will not speak", "local/secret", "b.example",     "DOMAIN/web", "without groups"};
    for (size_t i = 0; i < sizeof told / sizeof *told; i++)
        if (!strstr(notes, told[i]))
            fail_msg("nothing of %s in: %s", told[i], notes);
    assert_int_equal(left_out, 4);
    config_destroy(c);
    buffer_finish(&out);
    remove_dir(dir);
}

static void test_what_is_wrong(void **state)
{
    char dir[] = "/tmp/jackdaw-config-XXXXXX", why[512];
    struct buffer out;
    uint64_t left_out;
    assert_non_null(mkdtemp(dir));
    assert_int_equal(make(dir, &out, why, &left_out), ERR_NOT_FOUND);
    assert_non_null(strstr(why, "none of router.xml"));
    buffer_finish(&out);
    write_file(dir, "sm.xml", "<sm>\n<local></sm>");
    assert_int_equal(make(dir, &out, why, &left_out), ERR_MALFORMED);
    assert_non_null(strstr(why, "sm.xml, line 2"));
    buffer_finish(&out);
    write_file(dir, "sm.xml", "<!DOCTYPE sm [<!ENTITY x 'y'>]><sm>&x;</sm>");
    assert_int_equal(make(dir, &out, why, &left_out), ERR_MALFORMED);
    assert_non_null(strstr(why, "DTD"));
    buffer_finish(&out);
    remove_dir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_everything),
        cmocka_unit_test(test_what_is_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
