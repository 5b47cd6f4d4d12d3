/* Answers as stanzas. */
#include "resolver/answer.h"

#include <stdlib.h>

#include "base/mem.h"
#include "xml/builder.h"
#include "xmpp/namespaces.h"

#define LITERAL_TTL 86400 /* jabberd2's s2s keeps for so long what cannot change */

const char *answer_error_name(enum lookup_error error)
{
    static const char *const names[] = {[LOOKUP_NOT_FOUND] = "not-found",
                                        [LOOKUP_NO_SERVICE] = "no-service",
                                        [LOOKUP_TIMEOUT] = "timeout",
                                        [LOOKUP_BOGUS] = "bogus"};
    return names[error];
}

static struct builder *begin(const struct stanza *query, uint32_t ttl, bool secure,
                             enum lookup_error error)
{
    struct builder *b = builder_create(STR("resolve"), NS_RESOLVER);

    builder_attr(b, STR("type"), STR("result"));
    builder_attr(b, STR("name"), stanza_attr(query, STANZA_ROOT, STR("name")));
    builder_attr(b, STR("id"), stanza_attr(query, STANZA_ROOT, STR("id")));
    builder_attr_u64(b, STR("ttl"), ttl);
    builder_attr(b, STR("secure"), secure ? STR("1") : STR_NULL);
    builder_attr(b, STR("error"), str_of(answer_error_name(error)));
    return b;
}

static void add_ip(struct builder *b, const struct lookup_ip *ip)
{
    builder_start(b, STR("ip"), STR_NULL);
    builder_attr_u64(b, STR("port"), ip->port);
    builder_attr_u64(b, STR("ttl"), ip->ttl);
    builder_attr(b, STR("tls"), ip->direct ? STR("direct") : STR_NULL);
    builder_attr(b, STR("host"), str_of(ip->host));
    builder_attr(b, STR("secure"), ip->secure ? STR("1") : STR_NULL);
    builder_text(b, str_of(ip->ip));
    builder_end(b);
}

static void add_tlsa(struct builder *b, const struct lookup_service *s, const struct lookup_tlsa *t)
{
    char *hex = mem_alloc(2 * t->len + 1);

    str_hex(t->data, t->len, hex);
    builder_start(b, STR("tlsa"), STR_NULL);
    builder_attr(b, STR("host"), str_of(s->host->name));
    builder_attr_u64(b, STR("port"), s->port);
    builder_attr_u64(b, STR("usage"), t->usage);
    builder_attr_u64(b, STR("selector"), t->selector);
    builder_attr_u64(b, STR("type"), t->matching);
    builder_attr(b, STR("data"), (struct str){hex, 2 * t->len});
    builder_end(b);
    free(hex);
}

struct stanza *answer_build(const struct stanza *query, const struct lookup *l)
{
    bool old = stanza_attr(query, STANZA_ROOT, STR("id")).data == NULL;
    struct builder *b = begin(query, l->ttl, l->secure, l->error);

    for (size_t i = 0; i < l->ip_count; i++)
        if (!old || !l->ips[i].direct)
            add_ip(b, &l->ips[i]);
    for (size_t i = 0; i < l->service_count; i++)
        for (size_t k = 0; l->services[i].used && k < l->services[i].tlsa_count; k++)
            add_tlsa(b, &l->services[i], &l->services[i].tlsa[k]);
    return builder_finish(b);
}

struct stanza *answer_literal(const struct stanza *query, const char *ip)
{
    struct builder *b = begin(query, LITERAL_TTL, false, LOOKUP_OK);
    struct lookup_ip one = {.host = ip, .port = LOOKUP_PORT, .ttl = LITERAL_TTL};

    (void)memcpy(one.ip, ip, strlen(ip) + 1);
    add_ip(b, &one);
    return builder_finish(b);
}

struct stanza *answer_error(const struct stanza *query, enum lookup_error error, uint32_t ttl)
{
    return builder_finish(begin(query, ttl, false, error));
}
