/* Configuration: values from defaults, file and --set; every message names the place and what to
 * write instead; and the committed reference is the one that settings.def makes. */
#include "unit.h"

#include <unistd.h>

#include "base/mem.h"
#include "config/config.h"

struct messages {
    size_t count;
    char text[16][512];
};

static void keep(void *arg, const char *message)
{
    struct messages *m = arg;
    assert_true(m->count < 16);
    snprintf(m->text[m->count++], sizeof m->text[0], "%s", message);
}

static struct config *load(const char *text, struct messages *m)
{
    *m = (struct messages){0};
    return config_load_text("x.conf", str_of(text), keep, m);
}

/* The text is refused with exactly this message. */
static void refuses(const char *text, const char *message)
{
    struct messages m;
    struct config *c = load(text, &m);
    if (m.count)
        assert_string_equal(m.text[0], message);
    assert_null(c);
    assert_int_equal(m.count, 1);
}

static struct config *reads(const char *text)
{
    struct messages m;
    struct config *c = load(text, &m);
    if (!c)
        fail_msg("%s", m.text[0]);
    return c;
}

static void test_defaults(void **state)
{
    struct messages m = {0};
    struct config *c = config_load(NULL, NULL, 0, keep, &m);
    (void)state;
    assert_non_null(c);
    assert_int_equal(m.count, 0);
    assert_int_equal(c->c2s_port, 5222);
    assert_string_equal(c->c2s_tls, "required");
    assert_int_equal(c->c2s_address.count, 2);
    assert_string_equal(c->c2s_address.items[1], "::");
    assert_int_equal(c->server_admins.count, 0);
    assert_false(c->register_enabled);
    assert_true(c->register_loopback);
    assert_string_equal(config_origin(c, "c2s.port"), "the default");
    assert_string_equal(config_origin(c, "c2s.address"), "the default");
    config_destroy(c);
    config_destroy(NULL);
}

static void test_file(void **state)
{
    struct config *c =
        reads("# one\n/* two\n   lines */\nadmins = {\"a@b\", 'c@d'}\n"
              "c2s {\n  port = 1234 // three\n  address = {\n    \"127.0.0.1\",\n    ::1\n  }\n"
              "  tls = \"off\"\n}\n"
              "register { instructions = \"say \\\"please\\\"\\n\" enabled = on }\n"
              "c2s { tls_port = 0 }\nlog { level = debug }");
    (void)state;
    assert_int_equal(c->c2s_port, 1234);
    assert_int_equal(c->c2s_tls_port, 0); /* the second c2s section adds to the first */
    assert_string_equal(c->c2s_tls, "off");
    assert_int_equal(c->c2s_address.count, 2);
    assert_string_equal(c->c2s_address.items[1], "::1");
    assert_int_equal(c->server_admins.count, 2);
    assert_string_equal(c->server_admins.items[1], "c@d");
    assert_string_equal(c->register_instructions, "say \"please\"\n");
    assert_true(c->register_enabled);
    assert_string_equal(config_origin(c, "c2s.port"), "x.conf:6:10");
    assert_string_equal(config_origin(c, "c2s.address"), "x.conf:8:6");
    assert_string_equal(config_origin(c, "log.level"), "x.conf:15:15");
    config_destroy(c);
    c = reads("c2s { address = {} }");
    assert_int_equal(c->c2s_address.count, 0);
    config_destroy(c);
    c = reads("c2s { address = 127.0.0.1 }");
    assert_int_equal(c->c2s_address.count, 1);
    config_destroy(c);
    config_destroy(reads(""));
}

static void test_unknown_names(void **state)
{
    (void)state;
    refuses("\n\nc2s {\n prot = 1\n}",
            "x.conf:4:2: section c2s has no setting \"prot\"; did you mean port?");
    refuses("c2s { instructoins = x }", "x.conf:1:7: section c2s has no setting \"instructoins\"; "
                                        "did you mean register { instructions = ... }?");
    refuses(
        "prot = 1",
        "x.conf:1:1: there is no section or setting \"prot\"; did you mean c2s { port = ... }?");
    refuses(
        "regsiter { }",
        "x.conf:1:1: there is no section or setting \"regsiter\"; did you mean register { ... }?");
    refuses("c2s { quite_different = 1 }",
            "x.conf:1:7: section c2s has no setting \"quite_different\"; `jackdaw "
            "check --reference` lists all settings");
}

static void test_bad_values(void **state)
{
    struct messages m;
    (void)state;
    refuses("c2s {\nport = 65536 }",
            "x.conf:2:8: c2s.port cannot be \"65536\": write a number from 0 to 65535");
    refuses("c2s { port = -1 }",
            "x.conf:1:14: c2s.port cannot be \"-1\": write a number from 0 to 65535");
    refuses("c2s { port = 0x10 }",
            "x.conf:1:14: c2s.port cannot be \"0x10\": write a number from 0 to 65535");
    refuses("c2s { port = \"\" }",
            "x.conf:1:1: c2s.port cannot be \"\": write a number from 0 to 65535");
    refuses("c2s { tls = require }",
            "x.conf:1:13: c2s.tls cannot be \"require\": write required, optional or off; "
            "did you mean required?");
    refuses("register { enabled = maybe }",
            "x.conf:1:22: register.enabled cannot be \"maybe\": write true or false");
    /* All of them are told, not just the first. */
    assert_null(load("c2s {\n port = x\n tls = y\n}\nlog { level = z }", &m));
    assert_int_equal(m.count, 3);
}

static void test_broken_files(void **state)
{
    (void)state;
    refuses("c2s {\n port = 1\n\n",
            "x.conf:1:5: this { has no }: write } where the section or list ends");
    refuses("c2s {\n port = 1 }\n}", "x.conf:3:1: there is a } too many");
    refuses("c2s { port 1 }", "x.conf:1:1: write KEY = VALUE");
    refuses("c2s { port += 1 }", "x.conf:1:1: this setting takes one value: write = instead of +=");
    refuses("\nc2s { id = \"a }\n", "x.conf:2:12: this text has no end: a quote is missing");
    refuses("\n/* x\n", "x.conf:2:1: this comment has no end: write */ where it ends");
    refuses("c2s { id = \"${HOME}\" }",
            "x.conf:1:13: environment variables are not read here: write the value itself, "
            "or put the text in single quotes");
    refuses("c2s { id = \"\\x41\" }",
            "x.conf:1:13: unknown escape in a text: after \\ write \\, \", n or t, or put the "
            "text in single quotes");
    refuses("include(\"x\")",
            "x.conf:1:8: a character that means nothing here: put texts in \"quotes\"");
    refuses("c2s { port = {1} }",
            "x.conf:1:1: a value is missing or there is one too many: write KEY = VALUE, and "
            "lists as KEY = {\"a\", \"b\"}");
    refuses("\n\x01", "x.conf:2:1: a control character: this is not a text file");
    /* Nothing of a broken file is left in the reader for the next one (SIGHUP after a mistake). */
    struct config *c = reads("c2s { port = 7 }");
    assert_int_equal(c->c2s_port, 7);
    config_destroy(c);
    /* What the double quotes refuse, single quotes take. */
    c = reads("c2s { id = '${HOME} \\x' }");
    assert_string_equal(c->c2s_id, "${HOME} \\x");
    config_destroy(c);
}

static void test_sizes(void **state)
{
    struct messages m = {0};
    size_t len = (1u << 20) + 1;
    char *text = malloc(len + 1);
    (void)state;
    memset(text, ' ', len);
    text[len] = '\0';
    assert_null(config_load_text("x.conf", (struct str){text, len}, keep, &m));
    assert_int_equal(m.count, 1);
    config_destroy(reads(text + 1));
    free(text);
}

static void test_sets(void **state)
{
    static const char *const good[] = {"c2s.port=1", "c2s.port=2", "c2s.address=127.0.0.1, ::1,",
                                       "admins=a@b", "sm.id=a=b",  "server.contact="};
    static const char *const bad[] = {"c2s.prot=1", "c2s.port", "c2s.port=x", "nonsense=1", ""};
    struct messages m = {0};
    struct config *c = config_load(NULL, good, 6, keep, &m);
    (void)state;
    assert_non_null(c);
    assert_int_equal(c->c2s_port, 2);
    assert_int_equal(c->c2s_address.count, 2);
    assert_string_equal(c->c2s_address.items[1], "::1");
    assert_string_equal(c->server_admins.items[0], "a@b");
    assert_string_equal(c->sm_id, "a=b");
    assert_int_equal(c->server_contact.count, 0);
    assert_string_equal(config_origin(c, "c2s.port"), "--set c2s.port=2");
    config_destroy(c);
    assert_null(config_load(NULL, bad, 5, keep, &m));
    assert_int_equal(m.count, 5);
    assert_string_equal(
        m.text[0],
        "--set c2s.prot=1: there is no setting \"c2s.prot\"; write --set c2s.port=VALUE");
    assert_string_equal(m.text[1],
                        "--set c2s.port: a value is missing: write --set c2s.port=VALUE");
    assert_string_equal(
        m.text[2], "--set c2s.port=x: c2s.port cannot be \"x\": write a number from 0 to 65535");
}

static void test_set_wins_over_file(void **state)
{
    char path[] = "/tmp/jackdaw-config-XXXXXX";
    const char *set = "c2s.port=9";
    struct messages m = {0};
    int fd = mkstemp(path);
    (void)state;
    dprintf(fd, "c2s { port = 8 tls_port = 7 }\n");
    close(fd);
    struct config *c = config_load(path, &set, 1, keep, &m);
    assert_non_null(c);
    assert_int_equal(c->c2s_port, 9);
    assert_int_equal(c->c2s_tls_port, 7);
    config_destroy(c);
    unlink(path);
    assert_null(config_load(path, NULL, 0, keep, &m));
    assert_int_equal(m.count, 1);
    assert_non_null(strstr(m.text[0], path));
    assert_null(config_load("/tmp", NULL, 0, keep, &m)); /* a directory */
}

static void test_domains(void **state)
{
    static const char *const sets[] = {"server.domains=a.test", "domain.b.test.register=true",
                                       "domain.b.test.contact=abuse:x,support:y"};
    struct messages m = {0};
    struct config *c =
        reads("register { instructions = \"all\" }\ndomain \"One.Example\" { tls = off }\n"
              "c2s { tls = optional }\ndomain 'two.example' {}\n"
              "domain \"one.example\" { register = true contact = {\"abuse:a@b\"} }\n");
    const struct config *one = config_for(c, STR("one.example"));
    (void)state;
    assert_int_equal(c->server_domains.count, 2); /* not the default */
    assert_string_equal(c->server_domains.items[0], "one.example");
    assert_string_equal(one->domain_tls, "off");
    assert_true(one->domain_register);
    assert_string_equal(one->domain_instructions, "all");
    assert_string_equal(one->domain_contact.items[0], "abuse:a@b");
    assert_int_equal(one->c2s_port, 5222);
    assert_string_equal(config_for(c, STR("two.example"))->domain_tls, "optional");
    assert_false(config_for(c, STR("two.example"))->domain_register);
    assert_ptr_equal(config_for(c, STR("three.example")), c);
    assert_string_equal(c->domain_tls, "optional");
    assert_string_equal(config_origin(one, "domain.tls"), "x.conf:2:30");
    assert_string_equal(config_origin(one, "register.instructions"), "x.conf:1:28");
    config_destroy(c);
    c = config_load(NULL, sets, 3, keep, &m);
    assert_non_null(c);
    assert_int_equal(c->server_domains.count, 2);
    assert_string_equal(c->server_domains.items[1], "b.test");
    assert_int_equal(config_for(c, STR("b.test"))->domain_contact.count, 2);
    config_destroy(c);
    refuses("domain { tls = off }",
            "x.conf:1:1: the section of a domain is written domain \"example.org\" { ... }");
    refuses("domain \"a b\" { tls = off }",
            "x.conf:1:9: \"a b\" is no domain name: write one like \"example.org\"");
    refuses(
        "\ndomain \"a.b\" {\n  tls = of\n}",
        "x.conf:3:9: domain.tls cannot be \"of\": write required, optional or off; did you mean "
        "off?");
    refuses("domain \"a.b\" { tsl = off }",
            "x.conf:1:16: section domain has no setting \"tsl\"; did you mean tls?");
    config_destroy(reads("domain \"a.b\" { }"));
}

static void test_diff(void **state)
{
    struct messages m = {0};
    struct config *a = reads("router { port = 1 } c2s { max_stanza = 65536 }"),
                  *b = reads("router { port = 2 address = ::1 }");
    (void)state;
    assert_int_equal(config_diff_restart(a, a, keep, &m), 0);
    assert_int_equal(config_diff_restart(a, b, keep, &m), 2); /* max_stanza is taken over live */
    assert_string_equal(m.text[0], "router.address");
    assert_string_equal(m.text[1], "router.port");
    config_destroy(a);
    config_destroy(b);
}

static char *read_whole(const char *path)
{
    FILE *f = fopen(path, "r");
    if (!f)
        fail_msg("cannot read %s", path);
    char *text = mem_alloc(1 << 18);
    assert_true(fread(text, 1, (1 << 18) - 1, f) > 0);
    fclose(f);
    return text;
}

static void test_reference_is_current(void **state)
{
    char *made = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&made, &size);
    (void)state;
    config_print_reference(f);
    fclose(f);
    char *committed = read_whole(SOURCE_ROOT "/docs/manual/configuration.md");
    if (strcmp(committed, made) != 0)
        fail_msg(
            "settings.def has changed: jackdaw check --reference > docs/manual/configuration.md");
    free(committed);
    free(made);
}

static void test_example_is_good(void **state)
{
    struct messages m = {0};
    struct config *c = config_load(SOURCE_ROOT "/packaging/jackdaw.conf", NULL, 0, keep, &m);
    (void)state;
    if (!c)
        fail_msg("%s", m.text[0]);
    config_destroy(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_file),
        cmocka_unit_test(test_unknown_names),
        cmocka_unit_test(test_bad_values),
        cmocka_unit_test(test_broken_files),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_sets),
        cmocka_unit_test(test_set_wins_over_file),
        cmocka_unit_test(test_domains),
        cmocka_unit_test(test_diff),
        cmocka_unit_test(test_reference_is_current),
        cmocka_unit_test(test_example_is_good),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
