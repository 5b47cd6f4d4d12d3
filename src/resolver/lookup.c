/* The questions of one look-up. Both SRV services are asked at once, then all addresses at once; no
 * stage waits for a silent server longer than its share of the deadline. */
#include "resolver/lookup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static void on_srv(struct dns_question *q, const struct dns_answer *answer);
static void on_address(struct dns_question *q, const struct dns_answer *answer);
static void on_tlsa(struct dns_question *q, const struct dns_answer *answer);

static void ask(struct lookup *l, struct lookup_part *part, const char *name, enum dns_type type,
                void (*fn)(struct dns_question *, const struct dns_answer *))
{
    part->lookup = l;
    part->status = DNS_FAILED;
    part->question.fn = fn;
    l->waiting++;
    dns_ask(l->dns, &part->question, name, type);
}

/* The answer is noted; its records are the caller's to take. */
static struct lookup_part *answered(struct dns_question *q, const struct dns_answer *answer)
{
    struct lookup_part *part = MEM_CONTAINER(q, struct lookup_part, question);

    part->status = answer->status;
    part->secure = answer->secure;
    part->ttl = answer->ttl;
    part->lookup->waiting--;
    return part;
}

static void stop_asking(struct lookup *l)
{
    for (size_t i = 0; i < 2; i++)
        dns_cancel(&l->srv[i].question);
    for (size_t i = 0; i < l->host_count; i++)
        for (size_t family = 0; family < 2; family++)
            dns_cancel(&l->hosts[i].family[family].question);
    for (size_t i = 0; i < l->service_count; i++)
        dns_cancel(&l->services[i].tlsa_part.question);
    l->waiting = 0;
    loop_timer_stop(&l->timer);
}

static void finish(struct lookup *l)
{
    stop_asking(l);
    l->done(l);
}

/* The best there can be has come: what else was asked gets a little longer, not the whole time (RFC
 * 8305 section 3 waits 50 ms for AAAA; but what is late here may be keys or other hosts). */
static void hurry(struct lookup *l)
{
    uint64_t now = loop_now(l->loop);
    uint64_t left = l->timer.due > now ? l->timer.due - now : 0;

    if (!l->hurried && left > LOOKUP_LATE_MS)
        loop_timer_start(&l->timer, LOOKUP_LATE_MS);
    l->hurried = true;
}

/* --- the second stage: addresses --- */

static struct lookup_host *host_of(struct lookup *l, const char *name)
{
    struct lookup_host *host;

    for (size_t i = 0; i < l->host_count; i++)
        if (strcmp(l->hosts[i].name, name) == 0)
            return &l->hosts[i];
    host = &l->hosts[l->host_count++];
    (void)snprintf(host->name, sizeof(host->name), "%s", name);
    ask(l, &host->family[0], name, DNS_AAAA, on_address);
    ask(l, &host->family[1], name, DNS_A, on_address);
    return host;
}

/* TLSA is of use only where all that leads to it is validated (RFC 7673 section 3.2). A host with a
 * name too long for the prefix has none. */
static void ask_tlsa(struct lookup *l, struct lookup_service *s)
{
    char name[DNS_NAME_MAX + 16];
    int len = snprintf(name, sizeof(name), "_%u._tcp.%s", s->port, s->host->name);

    if (!s->secure || len >= DNS_NAME_MAX)
        return;
    s->tlsa_asked = true;
    ask(l, &s->tlsa_part, name, DNS_TLSA, on_tlsa);
}

static void add_service(struct lookup *l, const struct target *t)
{
    struct lookup_service *s = &l->services[l->service_count++];

    s->port = t->srv.port;
    s->direct = t->direct;
    s->secure = t->secure;
    s->ttl = t->ttl;
    s->host = host_of(l, t->srv.target);
    ask_tlsa(l, s);
}

static void on_late_addresses(struct loop_timer *timer)
{
    struct lookup *l = MEM_CONTAINER(timer, struct lookup, timer);

    lookup_result(l);
    finish(l);
}

static bool first_is_usable(const struct lookup *l)
{
    const struct lookup_service *s = &l->services[0];

    return s->host->count[0] + s->host->count[1] > 0 &&
           (!s->tlsa_asked || !s->tlsa_part.question.dns);
}

static void addresses_answered(struct lookup *l)
{
    if (l->waiting > 0) {
        if (first_is_usable(l))
            hurry(l);
        return;
    }
    lookup_result(l);
    finish(l);
}

static void on_address(struct dns_question *q, const struct dns_answer *answer)
{
    struct lookup_part *part = answered(q, answer);
    struct lookup *l = part->lookup;
    size_t family = 0;
    struct lookup_host *host = l->hosts;

    while (part != &host->family[0] && part != &host->family[1])
        host++;
    family = part == &host->family[1];
    if (answer->status == DNS_FOUND)
        for (size_t i = 0; i < answer->count && host->count[family] < LOOKUP_MAX_PER_FAMILY; i++)
            host->count[family] +=
                rdata_address(answer->records[i], host->ips[family][host->count[family]]);
    addresses_answered(l);
}

static void on_tlsa(struct dns_question *q, const struct dns_answer *answer)
{
    struct lookup_part *part = answered(q, answer);
    struct lookup_service *s = MEM_CONTAINER(part, struct lookup_service, tlsa_part);
    struct rdata_tlsa t;

    if (answer->status == DNS_FOUND && answer->secure)
        for (size_t i = 0; i < answer->count && s->tlsa_count < LOOKUP_MAX_TLSA; i++)
            if (rdata_tlsa(answer->records[i], &t) && t.data.len <= LOOKUP_MAX_TLSA_DATA)
                s->tlsa[s->tlsa_count++] =
                    (struct lookup_tlsa){t.usage, t.selector, t.matching,
                                         mem_strndup(t.data.data, t.data.len), t.data.len};
    addresses_answered(part->lookup);
}

static void ask_addresses(struct lookup *l)
{
    uint64_t now = loop_now(l->loop);

    loop_timer_stop(&l->timer);
    loop_timer_init(&l->timer, l->loop, on_late_addresses);
    loop_timer_start(&l->timer, l->deadline > now ? l->deadline - now : 0);
    l->hurried = false;
    order_targets(l->targets, l->target_count, l->random);
    for (size_t i = 0; i < l->target_count && i < LOOKUP_MAX_TARGETS; i++)
        add_service(l, &l->targets[i]);
    free(l->targets);
    l->targets = NULL;
}

/* --- the first stage: SRV --- */

/* RFC 6120 section 3.2.2: the domain itself, when it has no SRV records or nobody answers. Denials
 * that are validated keep the chain secure. */
static void fall_back(struct lookup *l)
{
    struct target *t = &l->targets[0];

    *t = (struct target){.srv = {.port = LOOKUP_PORT}, .ttl = UINT32_MAX, .secure = true};
    (void)snprintf(t->srv.target, sizeof(t->srv.target), "%s", l->name);
    for (size_t i = 0; i < 2; i++) {
        t->secure = t->secure && l->srv[i].status == DNS_ABSENT && l->srv[i].secure;
        if (l->srv[i].status == DNS_ABSENT && l->srv[i].ttl < t->ttl)
            t->ttl = l->srv[i].ttl;
    }
    l->target_count = 1;
    l->fallback = true;
    ask_addresses(l);
}

static bool srv_is(const struct lookup *l, enum dns_status status)
{
    return l->srv[0].status == status || l->srv[1].status == status;
}

/* Records of one service are used whatever became of the other: each is asked for separately. But a
 * false answer never leads to the domain itself: whoever forges wants just that. */
static void srv_answered(struct lookup *l)
{
    if (l->target_count > 0) {
        ask_addresses(l);
        return;
    }
    if (!l->says_none && !srv_is(l, DNS_BOGUS) && !srv_is(l, DNS_FOUND)) {
        fall_back(l);
        return;
    }
    lookup_result_none(l, l->says_none           ? LOOKUP_NO_SERVICE
                          : srv_is(l, DNS_BOGUS) ? LOOKUP_BOGUS
                                                 : LOOKUP_NOT_FOUND);
    finish(l);
}

static void on_srv(struct dns_question *q, const struct dns_answer *answer)
{
    struct lookup_part *part = answered(q, answer);
    struct lookup *l = part->lookup;

    order_add(l->targets, &l->target_count, answer, part == &l->srv[1], &l->says_none);
    if (l->waiting == 0)
        srv_answered(l);
    else if (l->target_count > 0)
        hurry(l);
}

static void on_late_srv(struct loop_timer *timer)
{
    struct lookup *l = MEM_CONTAINER(timer, struct lookup, timer);

    stop_asking(l);
    srv_answered(l);
}

static void ask_srv(struct lookup *l)
{
    static const char *const services[2] = {"_xmpp-server", "_xmpps-server"};

    for (size_t i = 0; i < 2; i++) {
        char name[DNS_NAME_MAX + 32];
        (void)snprintf(name, sizeof(name), "%s._tcp.%s", services[i], l->name);
        ask(l, &l->srv[i], name, DNS_SRV, on_srv);
    }
}

struct lookup *lookup_create(struct dns *dns, struct loop *loop, struct random *random,
                             const char *name, uint64_t timeout_ms, void (*done)(struct lookup *l),
                             void *owner)
{
    struct lookup *l = MEM_NEW(struct lookup);

    l->done = done;
    l->owner = owner;
    l->dns = dns;
    l->loop = loop;
    l->random = random;
    l->deadline = loop_now(loop) + timeout_ms;
    l->targets = mem_alloc_array(ORDER_MAX_RECORDS, sizeof(*l->targets));
    (void)snprintf(l->name, sizeof(l->name), "%s", name);
    loop_timer_init(&l->timer, loop, on_late_srv);
    loop_timer_start(&l->timer, timeout_ms / 2); /* the rest is for the addresses */
    ask_srv(l);
    return l;
}

void lookup_destroy(struct lookup *l)
{
    if (!l)
        return;
    stop_asking(l);
    for (size_t i = 0; i < l->service_count; i++)
        for (size_t k = 0; k < l->services[i].tlsa_count; k++)
            free(l->services[i].tlsa[k].data);
    free(l->targets);
    free(l);
}
