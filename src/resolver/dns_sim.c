/* DNS in simulation: a table of answers, with what real servers do to people - silence, lies,
 * delay.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "resolver/dns.h"

#define ABSENT_TTL 60
#define RDATA_MAX  512

struct entry {
    struct list node;
    enum dns_type type;
    uint64_t delay;
    struct dns_answer answer;
    char name[DNS_NAME_MAX];
};

struct waiting {
    struct list node;
    struct loop_timer timer;
    struct dns_question *question;
    const struct entry *entry; /* NULL: there is none */
};

struct dns_sim {
    struct dns base;
    struct loop *loop;
    struct list entries, waiting;
    size_t asked;
};

static struct dns_sim *sim_of(struct dns *d)
{
    return MEM_CONTAINER(d, struct dns_sim, base);
}

static struct entry *find(struct dns_sim *s, const char *name, enum dns_type type)
{
    LIST_EACH (it, &s->entries) {
        struct entry *e = LIST_ENTRY(it, struct entry, node);
        if (e->type == type && strcmp(e->name, name) == 0)
            return e;
    }
    return NULL;
}

static struct entry *find_or_add(struct dns_sim *s, const char *name, enum dns_type type)
{
    struct entry *e = find(s, name, type);

    if (e)
        return e;
    e = MEM_NEW(struct entry);
    e->type = type;
    e->answer = (struct dns_answer){.status = DNS_ABSENT, .ttl = ABSENT_TTL};
    (void)snprintf(e->name, sizeof(e->name), "%s", name);
    list_push(&s->entries, &e->node);
    return e;
}

/* --- questions --- */

static void forget(struct waiting *w)
{
    loop_timer_stop(&w->timer);
    list_remove(&w->node);
    free(w);
}

static void on_timer(struct loop_timer *timer)
{
    struct waiting *w = MEM_CONTAINER(timer, struct waiting, timer);
    struct dns_question *q = w->question;
    struct dns_answer answer = {.status = DNS_ABSENT, .ttl = ABSENT_TTL};

    if (w->entry)
        answer = w->entry->answer;
    forget(w);
    q->dns = NULL;
    q->fn(q, &answer);
}

static void sim_ask(struct dns *d, struct dns_question *q, const char *name, enum dns_type type)
{
    struct dns_sim *s = sim_of(d);
    struct waiting *w = MEM_NEW(struct waiting);

    s->asked++;
    w->question = q;
    w->entry = find(s, name, type);
    list_push(&s->waiting, &w->node);
    loop_timer_init(&w->timer, s->loop, on_timer);
    if (!w->entry || w->entry->delay != UINT64_MAX)
        loop_timer_start(&w->timer, w->entry ? w->entry->delay : 0);
}

static void sim_cancel(struct dns_question *q)
{
    LIST_EACH_SAFE (it, &sim_of(q->dns)->waiting) {
        struct waiting *w = LIST_ENTRY(it, struct waiting, node);
        if (w->question == q)
            forget(w);
    }
}

static void sim_destroy(struct dns *d)
{
    struct dns_sim *s = sim_of(d);
    struct list *node;

    while ((node = list_pop(&s->entries)) != NULL) {
        struct entry *e = LIST_ENTRY(node, struct entry, node);
        for (size_t i = 0; i < e->answer.count; i++)
            free((char *)e->answer.records[i].data);
        free(e);
    }
    free(s);
}

static const struct dns_ops sim_ops = {
    .ask = sim_ask, .cancel = sim_cancel, .destroy = sim_destroy};

struct dns *dns_sim_create(struct loop *l)
{
    struct dns_sim *s = MEM_NEW(struct dns_sim);

    s->base.ops = &sim_ops;
    s->loop = l;
    list_init(&s->entries);
    list_init(&s->waiting);
    return &s->base;
}

/* --- the table --- */

static size_t name_to_wire(const char *name, char *out)
{
    struct str rest = str_of(name), label;
    size_t len = 0;

    while (str_split(&rest, '.', &label) && label.len > 0) {
        out[len++] = (char)label.len;
        memcpy(out + len, label.data, label.len);
        len += label.len;
    }
    out[len++] = '\0';
    return len;
}

static size_t srv_to_wire(const char *text, char out[RDATA_MAX])
{
    unsigned n[3];
    char target[DNS_NAME_MAX];

    if (sscanf(text, "%u %u %u %253s", &n[0], &n[1], &n[2], target) != 4)
        return 0;
    for (size_t i = 0; i < 3; i++) {
        out[2 * i] = (char)(n[i] >> 8);
        out[2 * i + 1] = (char)n[i];
    }
    return 6 + name_to_wire(target, out + 6);
}

static size_t tlsa_to_wire(const char *text, char out[RDATA_MAX])
{
    unsigned n[3], byte;
    int used = 0;
    size_t len = 3;

    if (sscanf(text, "%u %u %u %n", &n[0], &n[1], &n[2], &used) != 3)
        return 0;
    for (size_t i = 0; i < 3; i++)
        out[i] = (char)n[i];
    for (text += used; len < RDATA_MAX && sscanf(text, "%2x", &byte) == 1; text += 2)
        out[len++] = (char)byte;
    return len;
}

static size_t to_wire(enum dns_type type, const char *text, char out[RDATA_MAX])
{
    switch (type) {
    case DNS_A:
        return inet_pton(AF_INET, text, out) == 1 ? 4 : 0;
    case DNS_AAAA:
        return inet_pton(AF_INET6, text, out) == 1 ? 16 : 0;
    case DNS_SRV:
        return srv_to_wire(text, out);
    case DNS_TLSA:
        return tlsa_to_wire(text, out);
    case DNS_DNSKEY:
        break;
    }
    return 0;
}

bool dns_sim_add(struct dns *d, const char *name, enum dns_type type, uint32_t ttl,
                 const char *text)
{
    struct entry *e = find_or_add(sim_of(d), name, type);
    char wire[RDATA_MAX];
    size_t len = to_wire(type, text, wire);

    if (len == 0 || e->answer.count == DNS_MAX_RECORDS)
        return false;
    e->answer.status = DNS_FOUND;
    e->answer.ttl = ttl;
    e->answer.records[e->answer.count++] = (struct str){mem_strndup(wire, len), len};
    return true;
}

void dns_sim_set(struct dns *d, const char *name, enum dns_type type, enum dns_status status,
                 bool secure, uint64_t delay)
{
    struct entry *e = find_or_add(sim_of(d), name, type);

    e->answer.status = status;
    e->answer.secure = secure;
    e->delay = delay;
}

size_t dns_sim_asked(const struct dns *d)
{
    return MEM_CONTAINER(d, const struct dns_sim, base)->asked;
}
