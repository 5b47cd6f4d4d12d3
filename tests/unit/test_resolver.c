/* The resolver on a simulated loop, with a table for DNS: what it asks, what it answers, what it
 * does about servers that are silent, slow or lie. The asker is a played router's other end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "resolver/resolver.h"
#include "xml/builder.h"
#include "xmpp/namespaces.h"

#define NEVER UINT64_MAX

struct world {
    struct env env;
    struct config config;
    struct component *c, *router;
    struct link *router_end;
    struct packet *got[64];
    size_t count;
    char binds[256];
};

/* --- the played router --- */

static void on_packet(void *owner, struct packet *p)
{
    struct world *w = owner;

    if (p->kind == PACKET_STANZA) {
        assert_true(w->count < 64);
        w->got[w->count++] = p;
        return;
    }
    if (p->kind == PACKET_BIND) {
        size_t len = strlen(w->binds);
        (void)snprintf(w->binds + len, sizeof(w->binds) - len, "%.*s %u; ", STR_ARG(p->name),
                       p->bind_flags);
    }
    packet_destroy(p);
}

static const struct link_events played_events = {.packet = on_packet};

static void played_attach(struct component *router, struct link *end, const char *name)
{
    struct world *w = MEM_CONTAINER(router->env, struct world, env);

    w->router_end = end;
    link_set_events(end, &played_events, w);
}

static const struct component_ops played_router = {.name = "played", .attach = played_attach};

static void advance(struct world *w, uint64_t ms)
{
    loop_sim_advance(w->env.loop, ms);
    while (loop_sim_turn(w->env.loop))
        continue;
}

static struct world *world_create(const char *id)
{
    struct world *w = MEM_NEW(struct world);

    w->env.loop = loop_create_sim(1767225600000);
    w->env.random = random_create_seeded(3);
    w->env.config = &w->config;
    w->env.data_dir = "";
    w->config.resolver_timeout = 10;
    w->config.resolver_max_pending = 30;
    w->router = component_create(&played_router, &w->env, NULL);
    w->c = component_create(&resolver_component, &w->env, id);
    component_attach_local(w->c, w->router);
    assert_int_equal(component_start(w->c), ERR_OK);
    advance(w, 0);
    return w;
}

static int setup(void **state)
{
    *state = world_create("resolver");
    return 0;
}

static void forget(struct world *w)
{
    for (size_t i = 0; i < w->count; i++)
        packet_destroy(w->got[i]);
    w->count = 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    forget(w);
    link_close(w->router_end);
    component_destroy(w->c);
    component_destroy(w->router);
    loop_destroy(w->env.loop);
    random_destroy(w->env.random);
    free(w);
    return 0;
}

static struct dns *dns(struct world *w)
{
    return resolver_dns(w->c);
}

static void add(struct world *w, const char *name, enum dns_type type, const char *text)
{
    assert_true(dns_sim_add(dns(w), name, type, 300, text));
}

static void secure(struct world *w, const char *name, enum dns_type type, enum dns_status status)
{
    dns_sim_set(dns(w), name, type, status, true, 0);
}

static void say(struct world *w, const char *from, const char *name, const char *type,
                const char *id)
{
    struct builder *b = builder_create(STR("resolve"), NS_RESOLVER);
    struct packet *p = packet_create(PACKET_STANZA, STR("resolver"), str_of(from));

    builder_attr(b, STR("type"), str_of(type));
    builder_attr(b, STR("name"), str_of(name));
    builder_attr(b, STR("id"), str_of(id));
    p->stanza = builder_finish(b);
    link_send(w->router_end, p);
}

static void ask(struct world *w, const char *name)
{
    say(w, "s2s", name, "query", "1");
}

static struct str attr(const struct world *w, size_t i, const char *name)
{
    return stanza_attr(w->got[i]->stanza, STANZA_ROOT, str_of(name));
}

/* "ip:port ip:port/tls ...", with ! behind those that are secure, and " tlsa" for each. */
static const char *summary(const struct world *w, size_t i, char text[2048])
{
    const struct stanza *s = w->got[i]->stanza;
    size_t len = 0;

    text[0] = '\0';
    for (stanza_el el = stanza_first(s, STANZA_ROOT); el != STANZA_NONE; el = stanza_next(s, el)) {
        const char *gap = len ? " " : "";
        if (str_is(stanza_name(s, el), "tlsa"))
            len += (size_t)snprintf(text + len, 2048 - len, "%stlsa=%.*s", gap,
                                    STR_ARG(stanza_attr(s, el, STR("data"))));
        else
            len += (size_t)snprintf(text + len, 2048 - len, "%s%.*s@%.*s%s%s", gap,
                                    STR_ARG(stanza_text(s, el)),
                                    STR_ARG(stanza_attr(s, el, STR("port"))),
                                    str_is(stanza_attr(s, el, STR("tls")), "direct") ? "/tls" : "",
                                    str_is(stanza_attr(s, el, STR("secure")), "1") ? "!" : "");
    }
    return text;
}

static void expect(struct world *w, const char *error, const char *list)
{
    char text[2048];

    assert_int_equal(w->count, 1);
    assert_true(str_is(w->got[0]->route_to, "s2s"));
    assert_true(str_is(attr(w, 0, "type"), "result"));
    if (error)
        assert_true(str_is(attr(w, 0, "error"), error));
    else
        assert_null(attr(w, 0, "error").data);
    assert_string_equal(summary(w, 0, text), list);
    forget(w);
}

/* Asks, waits that long, expects. */
static void check(struct world *w, const char *name, uint64_t ms, const char *error,
                  const char *list)
{
    ask(w, name);
    advance(w, ms);
    expect(w, error, list);
}

/* --- tests --- */

static void takes_the_name_that_is_asked(void **state)
{
    struct world *w = *state;
    void *other = world_create("resolver-2");

    assert_string_equal(w->binds, "resolver 16; ");
    assert_string_equal(((struct world *)other)->binds, "resolver-2 16; resolver 1; ");
    teardown(&other);
}

static void merges_both_services(void **state)
{
    struct world *w = *state;

    add(w, "_xmpp-server._tcp.x.org", DNS_SRV, "10 0 5269 a.x.org");
    add(w, "_xmpps-server._tcp.x.org", DNS_SRV, "5 0 443 a.x.org");
    add(w, "_xmpp-server._tcp.x.org", DNS_SRV, "20 0 5270 b.x.org");
    add(w, "a.x.org", DNS_A, "192.0.2.1");
    add(w, "a.x.org", DNS_A, "192.0.2.2");
    add(w, "a.x.org", DNS_AAAA, "2001:db8::1");
    add(w, "b.x.org", DNS_A, "192.0.2.3");
    check(w, "X.org", 0, NULL,
          "2001:db8::1@443/tls 192.0.2.1@443/tls 192.0.2.2@443/tls 2001:db8::1@5269 192.0.2.1@5269 "
          "192.0.2.2@5269 192.0.2.3@5270");
    assert_int_equal(dns_sim_asked(dns(w)), 2 + 4); /* each host once */
}

static void echoes_name_and_id(void **state)
{
    struct world *w = *state;

    add(w, "x.org", DNS_A, "192.0.2.1");
    say(w, "s2s-7", "X.Org", "query", "a'b<");
    advance(w, 0);
    assert_true(str_is(attr(w, 0, "name"), "X.Org"));
    assert_true(str_is(attr(w, 0, "id"), "a'b<"));
    assert_true(str_is(w->got[0]->route_to, "s2s-7"));
    assert_true(str_is(w->got[0]->route_from, "resolver"));
    assert_true(str_is(attr(w, 0, "ttl"), "60")); /* of the denial of SRV */
}

static void answers_in_a_later_turn(void **state)
{
    struct world *w = *state;

    ask(w, "192.0.2.1");
    assert_int_equal(w->count, 0);
    advance(w, 0);
    expect(w, NULL, "192.0.2.1@5269");
    assert_int_equal(dns_sim_asked(dns(w)), 0);
}

static void no_service(void **state)
{
    struct world *w = *state;

    add(w, "_xmpp-server._tcp.x.org", DNS_SRV, "0 0 0 .");
    add(w, "x.org", DNS_A, "192.0.2.1");
    check(w, "x.org", 0, "no-service", "");
    add(w, "_xmpps-server._tcp.x.org", DNS_SRV, "0 0 5270 x.org");
    check(w, "x.org", 0, NULL, "192.0.2.1@5270/tls");
}

static void not_found(void **state)
{
    struct world *w = *state;

    check(w, "x.org", 0, "not-found", "");
    check(w, "not a name", 0, "not-found", "");
    add(w, "_xmpp-server._tcp.y.org", DNS_SRV, "0 0 5269 missing.org");
    add(w, "y.org", DNS_A, "192.0.2.1"); /* SRV there is: no fallback (RFC 6120 section 3.2.1) */
    check(w, "y.org", 0, "not-found", "");
}

static void a_false_answer_never_leads_to_the_domain(void **state)
{
    struct world *w = *state;

    add(w, "x.org", DNS_A, "192.0.2.1");
    dns_sim_set(dns(w), "_xmpp-server._tcp.x.org", DNS_SRV, DNS_BOGUS, false, 0);
    check(w, "x.org", 0, "bogus", "");
    assert_int_equal(dns_sim_asked(dns(w)), 2);
    add(w, "_xmpps-server._tcp.x.org", DNS_SRV, "0 0 5270 x.org");
    check(w, "x.org", 0, NULL, "192.0.2.1@5270/tls");
    dns_sim_set(dns(w), "x.org", DNS_A, DNS_BOGUS, false, 0);
    check(w, "x.org", 0, "bogus", "");
}

static void without_an_answer_the_domain_itself(void **state)
{
    struct world *w = *state;

    add(w, "x.org", DNS_A, "192.0.2.1");
    dns_sim_set(dns(w), "_xmpp-server._tcp.x.org", DNS_SRV, DNS_FAILED, false, 0);
    check(w, "x.org", 0, NULL, "192.0.2.1@5269");
    dns_sim_set(dns(w), "_xmpps-server._tcp.x.org", DNS_SRV, DNS_ABSENT, false, NEVER);
    ask(w, "x.org");
    advance(w, 4900);
    assert_int_equal(w->count, 0);
    advance(w, 200); /* half of the time is over */
    expect(w, NULL, "192.0.2.1@5269");
    dns_sim_set(dns(w), "x.org", DNS_A, DNS_FAILED, false, 0);
    check(w, "x.org", 6000, "timeout", "");
}

static void a_silent_server_ends_at_the_deadline(void **state)
{
    struct world *w = *state;

    add(w, "_xmpp-server._tcp.x.org", DNS_SRV, "0 0 5269 a.org");
    add(w, "_xmpp-server._tcp.x.org", DNS_SRV, "1 0 5269 b.org");
    add(w, "b.org", DNS_A, "192.0.2.1");
    dns_sim_set(dns(w), "a.org", DNS_A, DNS_ABSENT, false, NEVER);
    ask(w, "x.org");
    advance(w, 9900);
    assert_int_equal(w->count, 0);
    advance(w, 200);
    expect(w, NULL, "192.0.2.1@5269"); /* what there is */
    dns_sim_set(dns(w), "b.org", DNS_A, DNS_ABSENT, false, NEVER);
    dns_sim_set(dns(w), "_xmpp-server._tcp.x.org", DNS_SRV, DNS_FOUND, false, 3000);
    ask(w, "x.org");
    advance(w, 9900);
    assert_int_equal(w->count, 0);
    advance(w, 200); /* of the whole, not 10 s from the second stage */
    assert_true(str_is(attr(w, 0, "ttl"), "0"));
    expect(w, "timeout", "");
}

static void late_services_are_not_waited_for(void **state)
{
    struct world *w = *state;

    add(w, "_xmpp-server._tcp.x.org", DNS_SRV, "0 0 5269 a.org");
    add(w, "a.org", DNS_A, "192.0.2.1");
    dns_sim_set(dns(w), "_xmpps-server._tcp.x.org", DNS_SRV, DNS_ABSENT, false, NEVER);
    check(w, "x.org", 1010, NULL, "192.0.2.1@5269");
}

static void late_addresses_are_not_waited_for(void **state)
{
    struct world *w = *state;

    add(w, "x.org", DNS_A, "192.0.2.1");
    add(w, "x.org", DNS_AAAA, "2001:db8::1");
    dns_sim_set(dns(w), "x.org", DNS_AAAA, DNS_FOUND, false, 900);
    ask(w, "x.org");
    advance(w, 890);
    assert_int_equal(w->count, 0);
    advance(w, 20);
    expect(w, NULL, "2001:db8::1@5269 192.0.2.1@5269");
    dns_sim_set(dns(w), "x.org", DNS_AAAA, DNS_FOUND, false, NEVER);
    check(w, "x.org", 1010, NULL, "192.0.2.1@5269");
}

/* A forger who holds back the keys must not gain by it. */
static void late_keys_are_waited_for(void **state)
{
    struct world *w = *state;

    add(w, "_xmpp-server._tcp.x.org", DNS_SRV, "0 0 5269 a.org");
    secure(w, "_xmpp-server._tcp.x.org", DNS_SRV, DNS_FOUND);
    add(w, "a.org", DNS_A, "192.0.2.1");
    secure(w, "a.org", DNS_A, DNS_FOUND);
    add(w, "_5269._tcp.a.org", DNS_TLSA, "3 1 1 aa");
    dns_sim_set(dns(w), "_5269._tcp.a.org", DNS_TLSA, DNS_FOUND, true, 5000);
    ask(w, "x.org");
    advance(w, 4900);
    assert_int_equal(w->count, 0);
    advance(w, 200);
    expect(w, NULL, "192.0.2.1@5269! tlsa=aa");
}

static void is_secure_only_as_a_whole(void **state)
{
    struct world *w = *state;

    add(w, "_xmpp-server._tcp.x.org", DNS_SRV, "0 0 5269 a.org");
    add(w, "a.org", DNS_A, "192.0.2.1");
    add(w, "_5269._tcp.a.org", DNS_TLSA, "3 1 1 00ff");
    secure(w, "a.org", DNS_A, DNS_FOUND);
    secure(w, "_5269._tcp.a.org", DNS_TLSA, DNS_FOUND);
    check(w, "x.org", 0, NULL, "192.0.2.1@5269"); /* the SRV record may be forged */
    secure(w, "_xmpp-server._tcp.x.org", DNS_SRV, DNS_FOUND);
    ask(w, "x.org");
    advance(w, 0);
    assert_true(str_is(attr(w, 0, "secure"), "1"));
    expect(w, NULL, "192.0.2.1@5269! tlsa=00ff");
    add(w, "a.org", DNS_AAAA, "2001:db8::1");
    ask(w, "x.org");
    advance(w, 0);
    assert_null(attr(w, 0, "secure").data);
    expect(w, NULL, "2001:db8::1@5269 192.0.2.1@5269! tlsa=00ff");
}

/* RFC 7673 section 3.4: without the keys that should be there a forger would be let in. */
static void keys_that_do_not_come_close_the_way(void **state)
{
    struct world *w = *state;

    add(w, "_xmpp-server._tcp.x.org", DNS_SRV, "0 0 5269 a.org");
    add(w, "_xmpp-server._tcp.x.org", DNS_SRV, "1 0 5269 b.org");
    secure(w, "_xmpp-server._tcp.x.org", DNS_SRV, DNS_FOUND);
    add(w, "a.org", DNS_A, "192.0.2.1");
    add(w, "b.org", DNS_A, "192.0.2.2");
    secure(w, "a.org", DNS_A, DNS_FOUND);
    secure(w, "b.org", DNS_A, DNS_FOUND);
    secure(w, "_5269._tcp.b.org", DNS_TLSA, DNS_ABSENT);
    dns_sim_set(dns(w), "_5269._tcp.a.org", DNS_TLSA, DNS_BOGUS, false, 0);
    check(w, "x.org", 0, NULL, "192.0.2.2@5269!");
    dns_sim_set(dns(w), "_5269._tcp.b.org", DNS_TLSA, DNS_FAILED, false, 0);
    check(w, "x.org", 0, "bogus", "");
    dns_sim_set(dns(w), "_5269._tcp.a.org", DNS_TLSA, DNS_ABSENT, true, NEVER);
    check(w, "x.org", 11000, "timeout", "");
}

static void a_validated_fallback_is_secure(void **state)
{
    struct world *w = *state;

    add(w, "x.org", DNS_A, "192.0.2.1");
    secure(w, "x.org", DNS_A, DNS_FOUND);
    add(w, "_5269._tcp.x.org", DNS_TLSA, "3 1 1 aa");
    secure(w, "_5269._tcp.x.org", DNS_TLSA, DNS_FOUND);
    secure(w, "_xmpp-server._tcp.x.org", DNS_SRV, DNS_ABSENT);
    check(w, "x.org", 0, NULL, "192.0.2.1@5269"); /* the other denial is not */
    secure(w, "_xmpps-server._tcp.x.org", DNS_SRV, DNS_ABSENT);
    check(w, "x.org", 0, NULL, "192.0.2.1@5269! tlsa=aa");
    dns_sim_set(dns(w), "_xmpp-server._tcp.x.org", DNS_SRV, DNS_ABSENT, false, 0);
    check(w, "x.org", 0, NULL, "192.0.2.1@5269");
}

static void the_ttl_is_the_shortest(void **state)
{
    struct world *w = *state;

    assert_true(dns_sim_add(dns(w), "_xmpp-server._tcp.x.org", DNS_SRV, 500, "0 0 5269 a.org"));
    assert_true(dns_sim_add(dns(w), "a.org", DNS_A, 40, "192.0.2.1"));
    assert_true(dns_sim_add(dns(w), "a.org", DNS_AAAA, 900, "2001:db8::1"));
    ask(w, "x.org");
    ask(w, "nothing.org");
    advance(w, 0);
    assert_true(str_is(attr(w, 0, "ttl"), "40"));
    stanza_el ip = stanza_first(w->got[0]->stanza, STANZA_ROOT);
    assert_true(str_is(stanza_attr(w->got[0]->stanza, ip, STR("ttl")), "500"));
    assert_true(str_is(attr(w, 1, "ttl"), "60"));
}

static void equal_questions_share_a_lookup(void **state)
{
    struct world *w = *state;

    add(w, "x.org", DNS_A, "192.0.2.1");
    dns_sim_set(dns(w), "x.org", DNS_A, DNS_FOUND, false, 100);
    for (int i = 0; i < 10; i++)
        say(w, i % 2 ? "s2s" : "s2s-2", i % 3 ? "x.org" : "X.ORG.", "query",
            i % 2 ? "odd" : "even");
    advance(w, 200);
    assert_int_equal(w->count, 10);
    assert_int_equal(dns_sim_asked(dns(w)), 4);
    for (size_t i = 0; i < 10; i++) {
        assert_true(str_is(w->got[i]->route_to, i % 2 ? "s2s" : "s2s-2"));
        assert_true(str_is(attr(w, i, "id"), i % 2 ? "odd" : "even"));
        assert_true(str_is(attr(w, i, "name"), i % 3 ? "x.org" : "X.ORG."));
    }
}

static void more_than_may_wait_are_refused(void **state)
{
    struct world *w = *state;

    for (int i = 0; i < 32; i++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "n%d.org", i % 31);
        dns_sim_set(dns(w), name, DNS_A, DNS_ABSENT, false, NEVER);
        ask(w, name);
    }
    advance(w, 1);
    assert_int_equal(w->count, 2); /* 30 may wait */
    assert_true(str_is(attr(w, 0, "error"), "timeout") && str_is(attr(w, 0, "name"), "n30.org"));
    ask(w, "192.0.2.1"); /* needs no room */
    advance(w, 11000);
    assert_int_equal(w->count, 33);
    forget(w);
    check(w, "n40.org", 0, "not-found", ""); /* there is room again */
}

static void the_question_of_jabberd2(void **state)
{
    struct world *w = *state;

    add(w, "_xmpps-server._tcp.x.org", DNS_SRV, "0 0 443 a.org");
    add(w, "_xmpp-server._tcp.x.org", DNS_SRV, "1 0 5269 a.org");
    add(w, "a.org", DNS_A, "192.0.2.1");
    say(w, "s2s", "x.org", "query", NULL);
    advance(w, 0);
    assert_null(attr(w, 0, "id").data);
    expect(w, NULL, "192.0.2.1@5269");
}

static void what_is_no_question_is_dropped(void **state)
{
    struct world *w = *state;
    struct packet *p = packet_create(PACKET_STANZA, STR("resolver"), STR("s2s"));
    struct builder *b = builder_create(STR("iq"), NS_CLIENT);

    say(w, "s2s", "x.org", "result", "1");
    say(w, "s2s", NULL, "query", "1");
    say(w, "s2s", "", "query", "1");
    p->stanza = builder_finish(b);
    link_send(w->router_end, p);
    p = packet_create(PACKET_STANZA, STR("resolver"), STR("s2s"));
    p->error = 404; /* an answer of ours come back */
    p->stanza = builder_finish(builder_create(STR("resolve"), NS_RESOLVER));
    link_send(w->router_end, p);
    advance(w, 20000);
    assert_int_equal(w->count, 0);
    assert_int_equal(dns_sim_asked(dns(w)), 0);
}

static void too_much_is_cut(void **state)
{
    struct world *w = *state;
    char text[64], list[2048];
    size_t ips = 1;

    for (int i = 0; i < 70; i++) {
        (void)snprintf(text, sizeof(text), "%d 0 5269 h%d.org", i, i);
        assert_int_equal(dns_sim_add(dns(w), "_xmpp-server._tcp.x.org", DNS_SRV, 300, text),
                         i < 64);
        (void)snprintf(text, sizeof(text), "h%d.org", i);
        for (int k = 1; k <= 20; k++) {
            char ip[32];
            (void)snprintf(ip, sizeof(ip), "192.0.%d.%d", i, k);
            add(w, text, DNS_A, ip);
        }
    }
    ask(w, "x.org");
    advance(w, 0);
    summary(w, 0, list);
    for (const char *at = list; (at = strchr(at, ' ')) != NULL; at++)
        ips++;
    assert_int_equal(ips, 32);
    assert_memory_equal(list, "192.0.0.1@5269", 14);
    assert_null(strstr(list, "192.0.0.7@"));
    assert_int_equal(dns_sim_asked(dns(w)), 2 + 2 * 16);
}

static void status_counts(void **state)
{
    struct world *w = *state;
    json_t *status;

    ask(w, "x.org");
    ask(w, "192.0.2.1");
    dns_sim_set(dns(w), "y.org", DNS_A, DNS_ABSENT, false, NEVER);
    ask(w, "y.org");
    advance(w, 10);
    status = component_status(w->c);
    assert_int_equal(json_integer_value(json_object_get(status, "questions")), 3);
    assert_int_equal(json_integer_value(json_object_get(status, "lookups")), 2);
    assert_int_equal(json_integer_value(json_object_get(status, "pending")), 1);
    assert_int_equal(
        json_integer_value(json_object_get(json_object_get(status, "results"), "not-found")), 1);
    json_decref(status);
    assert_int_equal(component_reload(w->c), ERR_OK);
    /* teardown: one is still waiting */
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(takes_the_name_that_is_asked),
        TEST(merges_both_services),
        TEST(echoes_name_and_id),
        TEST(answers_in_a_later_turn),
        TEST(no_service),
        TEST(not_found),
        TEST(a_false_answer_never_leads_to_the_domain),
        TEST(without_an_answer_the_domain_itself),
        TEST(a_silent_server_ends_at_the_deadline),
        TEST(late_services_are_not_waited_for),
        TEST(late_addresses_are_not_waited_for),
        TEST(late_keys_are_waited_for),
        TEST(is_secure_only_as_a_whole),
        TEST(keys_that_do_not_come_close_the_way),
        TEST(a_validated_fallback_is_secure),
        TEST(the_ttl_is_the_shortest),
        TEST(equal_questions_share_a_lookup),
        TEST(more_than_may_wait_are_refused),
        TEST(the_question_of_jabberd2),
        TEST(what_is_no_question_is_dropped),
        TEST(too_much_is_cut),
        TEST(status_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
