/* Asking the resolver where a domain is (jabberd2.md 1.4, with our additions): a packet out, a
 * packet back, never waiting. */
#include <stdlib.h>

#include "base/mem.h"
#include "s2s/s2s_conn.h"
#include "xmpp/namespaces.h"

static void ask(struct remote *r)
{
    struct s2s *s = r->s2s;
    struct builder *b = builder_create(STR("resolve"), NS_RESOLVER);
    struct packet *p = packet_create(PACKET_STANZA, STR("resolver"), str_of(s->component->id));

    r->resolving_since = s2s_now(s);
    builder_attr(b, STR("type"), STR("query"));
    builder_attr(b, STR("name"), remote_name(r));
    builder_attr(b, STR("id"), str_of(r->query));
    p->stanza = builder_finish(b);
    component_send(s->component, p);
}

void s2s_resolve(struct remote *r)
{
    random_token(r->s2s->component->env->random, r->query, 16);
    r->query[16] = '\0';
    r->resolving = true;
    hash_put(&r->s2s->queries, str_of(r->query), r);
    ask(r);
}

void s2s_resolve_again(struct s2s *s)
{
    struct remote *r;

    for (size_t i = 0; (r = hash_next(&s->queries, &i)) != NULL;)
        ask(r);
}

void s2s_resolve_cancel(struct remote *r)
{
    if (!r->resolving)
        return;
    hash_del(&r->s2s->queries, str_of(r->query));
    r->resolving = false;
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

static void read_answer(struct remote *r, const struct stanza *s)
{
    struct target *targets = mem_alloc_array(S2S_TARGETS_MAX, sizeof(*targets));
    struct tlsa *tlsa = mem_alloc_array(S2S_TLSA_MAX, sizeof(*tlsa));
    bool secure = str_is(stanza_attr(s, STANZA_ROOT, STR("secure")), "1");
    size_t count = 0, tlsa_count = 0;

    for (stanza_el el = stanza_first(s, STANZA_ROOT); el != STANZA_NONE; el = stanza_next(s, el)) {
        if (str_is(stanza_name(s, el), "ip") && count < S2S_TARGETS_MAX)
            count += read_target(s, el, &targets[count]);
        else if (str_is(stanza_name(s, el), "tlsa") && secure && tlsa_count < S2S_TLSA_MAX)
            tlsa_count += read_tlsa(s, el, &tlsa[tlsa_count]);
    }
    if (count > 0) {
        attempt_resolved(r, targets, count, tlsa, tlsa_count);
        return;
    }
    free(targets);
    free(tlsa);
    attempt_failed(r, STANZA_ERR_REMOTE_SERVER_NOT_FOUND, "DNS knows no address for it", true);
}

static void answered(struct remote *r, const struct packet *p)
{
    struct str error = stanza_attr(p->stanza, STANZA_ROOT, STR("error"));

    if (p->error)
        attempt_failed(r, STANZA_ERR_REMOTE_SERVER_TIMEOUT, "there is no resolver to find it with",
                       false);
    else if (str_is(error, "not-found"))
        attempt_failed(r, STANZA_ERR_REMOTE_SERVER_NOT_FOUND, "DNS does not know the domain", true);
    else if (str_is(error, "no-service"))
        attempt_failed(r, STANZA_ERR_REMOTE_SERVER_NOT_FOUND,
                       "its DNS says that there is no XMPP server", true);
    else if (str_is(error, "bogus"))
        attempt_failed(r, STANZA_ERR_REMOTE_SERVER_TIMEOUT,
                       "its DNS records fail validation (DNSSEC)", false);
    else if (error.data)
        attempt_failed(r, STANZA_ERR_REMOTE_SERVER_TIMEOUT, "DNS gave no answer about it", false);
    else
        read_answer(r, p->stanza);
}

void s2s_resolve_answer(struct s2s *s, struct packet *p)
{
    struct str id = stanza_attr(p->stanza, STANZA_ROOT, STR("id"));
    struct remote *r = id.data ? hash_get(&s->queries, id) : NULL;

    if (r && str_eq(stanza_attr(p->stanza, STANZA_ROOT, STR("name")), remote_name(r))) {
        s2s_resolve_cancel(r);
        answered(r, p);
    }
    packet_destroy(p); /* late ones have nobody who waits */
}
