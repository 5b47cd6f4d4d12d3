/* Asking the resolver where a domain is (jabberd2.md 1.4, with our additions): a packet out, a
 * packet back, never waiting. */
#include <stdlib.h>

#include "base/mem.h"
#include "s2s/s2s_conn.h"
#include "xmpp/namespaces.h"

static void on_late(struct loop_timer *timer)
{
    struct s2s_query *q = MEM_CONTAINER(timer, struct s2s_query, late);
    struct s2s_answer a = {.condition = STANZA_ERR_REMOTE_SERVER_TIMEOUT,
                           .why = "its address could not be found in time"};

    s2s_resolve_cancel(q);
    q->answered(q, &a);
}

static void ask(struct s2s_query *q)
{
    struct s2s *s = q->s2s;
    struct builder *b = builder_create(STR("resolve"), NS_RESOLVER);
    struct packet *p = packet_create(PACKET_STANZA, STR("resolver"), str_of(s->component->id));

    loop_timer_start(&q->late, q->most_ms);
    builder_attr(b, STR("type"), STR("query"));
    builder_attr(b, STR("name"), q->name);
    builder_attr(b, STR("id"), str_of(q->id));
    p->stanza = builder_finish(b);
    component_send(s->component, p);
}

void s2s_resolve(struct s2s *s, struct s2s_query *q, struct str name, uint64_t most_ms)
{
    random_token(s->component->env->random, q->id, 16);
    q->id[16] = '\0';
    q->s2s = s;
    q->name = name;
    q->most_ms = most_ms;
    hash_put(&s->queries, str_of(q->id), q);
    loop_timer_init(&q->late, s2s_loop(s), on_late);
    ask(q);
}

void s2s_resolve_again(struct s2s *s)
{
    struct s2s_query *q;

    for (size_t i = 0; (q = hash_next(&s->queries, &i)) != NULL;)
        ask(q);
}

void s2s_resolve_cancel(struct s2s_query *q)
{
    if (!q->s2s)
        return;
    loop_timer_stop(&q->late);
    hash_del(&q->s2s->queries, str_of(q->id));
    q->s2s = NULL;
}

static uint64_t number(const struct stanza *s, stanza_el el, const char *name, uint64_t most)
{
    uint64_t value = most + 1;

    (void)str_to_u64(stanza_attr(s, el, str_of(name)), most, &value);
    return value;
}

static bool copy(char *out, size_t size, struct str text)
{
    if (text.len >= size)
        return false;
    memcpy(out, text.len ? text.data : "", text.len);
    out[text.len] = '\0';
    return true;
}

static bool read_target(const struct stanza *s, stanza_el el, struct target *t)
{
    uint64_t port = number(s, el, "port", 65535);

    if (port == 0 || port > 65535 || !copy(t->at.ip, sizeof(t->at.ip), stanza_text(s, el)) ||
        !copy(t->host, sizeof(t->host), stanza_attr(s, el, STR("host"))))
        return false;
    t->at.port = (uint16_t)port;
    t->direct_tls = str_is(stanza_attr(s, el, STR("tls")), "direct");
    t->secure = str_is(stanza_attr(s, el, STR("secure")), "1");
    return t->at.ip[0] != '\0';
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool read_tlsa(const struct stanza *s, stanza_el el, struct tlsa *t)
{
    struct str data = stanza_attr(s, el, STR("data"));
    uint64_t port = number(s, el, "port", 65535), usage = number(s, el, "usage", 3),
             selector = number(s, el, "selector", 1), matching = number(s, el, "type", 2);

    if (port > 65535 || usage > 3 || selector > 1 || matching > 2 || data.len % 2 != 0 ||
        data.len / 2 > sizeof(t->data) ||
        !copy(t->host, sizeof(t->host), stanza_attr(s, el, STR("host"))))
        return false;
    for (size_t i = 0; i < data.len; i += 2) {
        int high = hex_digit(data.data[i]), low = hex_digit(data.data[i + 1]);
        if (high < 0 || low < 0)
            return false;
        t->data[i / 2] = (unsigned char)(high << 4 | low);
    }
    t->len = (uint8_t)(data.len / 2);
    t->port = (uint16_t)port;
    t->usage = (uint8_t)usage;
    t->selector = (uint8_t)selector;
    t->matching = (uint8_t)matching;
    return t->len > 0;
}

static void read_answer(struct s2s_answer *a, const struct stanza *s)
{
    bool secure = str_is(stanza_attr(s, STANZA_ROOT, STR("secure")), "1");

    a->targets = mem_alloc_array(S2S_TARGETS_MAX, sizeof(*a->targets));
    a->tlsa = mem_alloc_array(S2S_TLSA_MAX, sizeof(*a->tlsa));
    for (stanza_el el = stanza_first(s, STANZA_ROOT); el != STANZA_NONE; el = stanza_next(s, el)) {
        if (str_is(stanza_name(s, el), "ip") && a->target_count < S2S_TARGETS_MAX)
            a->target_count += read_target(s, el, &a->targets[a->target_count]);
        else if (str_is(stanza_name(s, el), "tlsa") && secure && a->tlsa_count < S2S_TLSA_MAX)
            a->tlsa_count += read_tlsa(s, el, &a->tlsa[a->tlsa_count]);
    }
    if (a->target_count == 0)
        *a = (struct s2s_answer){STANZA_ERR_REMOTE_SERVER_NOT_FOUND,
                                 "DNS knows no address for it",
                                 true,
                                 a->targets,
                                 a->tlsa,
                                 0,
                                 0};
}

/* What the resolver says when it has no addresses. */
static const struct {
    const char *error;
    enum stanza_condition condition;
    const char *why;
    bool definite;
} failures[] = {
    {"not-found", STANZA_ERR_REMOTE_SERVER_NOT_FOUND, "DNS does not know the domain", true},
    {"no-service", STANZA_ERR_REMOTE_SERVER_NOT_FOUND, "its DNS says that there is no XMPP server",
     true},
    {"bogus", STANZA_ERR_REMOTE_SERVER_TIMEOUT, "its DNS records fail validation (DNSSEC)", false},
    {NULL, STANZA_ERR_REMOTE_SERVER_TIMEOUT, "DNS gave no answer about it", false},
};

static void read_failure(struct s2s_answer *a, struct str error)
{
    size_t i = 0;

    while (failures[i].error && !str_is(error, failures[i].error))
        i++;
    a->condition = failures[i].condition;
    a->why = failures[i].why;
    a->definite = failures[i].definite;
}

void s2s_resolve_answer(struct s2s *s, struct packet *p)
{
    struct str id = stanza_attr(p->stanza, STANZA_ROOT, STR("id")),
               error = stanza_attr(p->stanza, STANZA_ROOT, STR("error"));
    struct s2s_query *q = id.data ? hash_get(&s->queries, id) : NULL;
    struct s2s_answer a = {0};

    if (q && str_eq(stanza_attr(p->stanza, STANZA_ROOT, STR("name")), q->name)) {
        s2s_resolve_cancel(q);
        if (p->error) {
            a.condition = STANZA_ERR_REMOTE_SERVER_TIMEOUT;
            a.why = "there is no resolver to find it with";
        } else if (error.data) {
            read_failure(&a, error);
        } else {
            read_answer(&a, p->stanza);
        }
        q->answered(q, &a);
        free(a.targets);
        free(a.tlsa);
    }
    packet_destroy(p); /* late ones have nobody who waits */
}
