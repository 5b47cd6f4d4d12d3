/* Statistics of a domain (XEP-0039) for its administrators: the names without a value to who asks
 * for nothing, and the values of those that are named. Users are those of the domain at all session
 * managers; uptime and packets are those of the one that answers. jabberd2 wrote the number of
 * packets into a file (c2s: stats.packet); all numbers of all components are in `jackdaw status
 * --json`. */
#include <stdlib.h>
#include "base/mem.h"
#include "sm/admin.h"
#include "sm/admin_lists.h"
#include "sm/ask.h"
#include "sm/iq.h"
#include "sm/send.h"
#include "xmpp/namespaces.h"

#define STATS_MAX 100u /* in one request */

enum { UPTIME, PACKETS_IN, PACKETS_OUT, ONLINE, TOTAL, STATS };

static const struct {
    const char *name, *units;
} stats[STATS] = {[UPTIME] = {"time/uptime", "seconds"},
                  [PACKETS_IN] = {"bandwidth/packets-in", "packets"},
                  [PACKETS_OUT] = {"bandwidth/packets-out", "packets"},
                  [ONLINE] = {"users/online", "users"},
                  [TOTAL] = {"users/total", "users"}};

static struct builder *answer_open(struct iq *iq)
{
    struct builder *b = iq_result_open(iq);
    builder_start(b, STR("query"), NS_STATS);
    return b;
}

static void answer_send(struct iq *iq, struct builder *b)
{
    builder_end(b);
    iq_result_send(iq, b);
}

/* --- values --- */

struct asking {
    struct iq *iq;
    uint64_t values[STATS];
};

static int find(struct str name)
{
    for (int i = 0; i < STATS; i++)
        if (str_is(name, stats[i].name))
            return i;
    return STATS;
}

/* Section 2.6: one that there is not is an error of its own. */
static void add_stat(struct builder *b, const struct asking *a, struct str name)
{
    int which = find(name);
    builder_start(b, STR("stat"), STR_NULL);
    builder_attr(b, STR("name"), name);
    if (which < STATS) {
        builder_attr(b, STR("units"), str_of(stats[which].units));
        builder_attr_u64(b, STR("value"), a->values[which]);
    } else {
        builder_start(b, STR("error"), STR_NULL);
        builder_attr(b, STR("code"), STR("404"));
        builder_text(b, STR("Not Found"));
        builder_end(b);
    }
    builder_end(b);
}

static void answer(struct asking *a)
{
    const struct sm *sm = a->iq->sm;
    const struct stanza *s = a->iq->packet->stanza;
    struct builder *b = answer_open(a->iq);
    a->values[UPTIME] = (loop_now(sm->loop) - sm->started) / 1000;
    a->values[PACKETS_IN] = sm->counters.from_clients + sm->counters.from_router;
    a->values[PACKETS_OUT] = sm->counters.to_clients + sm->counters.to_router;
    for (stanza_el el = stanza_first(s, a->iq->payload); el != STANZA_NONE; el = stanza_next(s, el))
        if (stanza_is(s, el, STR("stat"), NS_STATS))
            add_stat(b, a, stanza_attr(s, el, STR("name")));
    answer_send(a->iq, b);
    iq_finish(a->iq, STANZA_ERR_NONE);
    free(a);
}

static void on_online(void *arg, const struct stanza *word)
{
    struct asking *a = arg;
    uint64_t count = 0;
    if (!word) {
        answer(a);
        return;
    }
    (void)str_to_u64(stanza_attr(word, STANZA_ROOT, STR("count")), UINT32_MAX, &count);
    a->values[ONLINE] += count;
}

static void on_total(void *arg, enum error e, const struct store_rows *rows)
{
    struct asking *a = arg;
    struct sm *sm = a->iq->sm;
    struct str domain = jid_domain(a->iq->packet->to);
    if (e) {
        iq_finish(a->iq, send_condition(e));
        free(a);
        return;
    }
    a->values[TOTAL] = (uint64_t)store_int(rows, 0, 0);
    a->values[ONLINE] = admin_lists_online(sm, domain);
    struct question *q = ask_begin(sm, on_online, a);
    struct builder *b = ask_open(q, "online", "list");
    builder_attr(b, STR("domain"), domain);
    ask_all(q, domain, b);
}

/* --- requests --- */

static enum stanza_condition on_get(struct iq *iq)
{
    struct str domain = jid_domain(iq->packet->to);
    uint32_t wanted = stanza_children(iq->packet->stanza, iq->payload);
    if (!admin_may(iq->sm, jid_bare(iq->packet->from), domain))
        return STANZA_ERR_FORBIDDEN;
    if (wanted > STATS_MAX)
        return STANZA_ERR_RESOURCE_CONSTRAINT;
    if (wanted) {
        struct asking *a = MEM_NEW(struct asking);
        a->iq = iq_take(iq);
        users_count(a->iq->sm->store, domain, on_total, a);
        return STANZA_ERR_NONE;
    }
    struct builder *b = answer_open(iq);
    for (int i = 0; i < STATS; i++) {
        builder_start(b, STR("stat"), STR_NULL);
        builder_attr(b, STR("name"), str_of(stats[i].name));
        builder_end(b);
    }
    answer_send(iq, b);
    return STANZA_ERR_NONE;
}

static const struct iq_handler iqs[] = {{&NS_STATS, "query", IQ_TO_SERVER | IQ_GET, on_get},
                                        {NULL, NULL, 0, NULL}};
static const struct str *const features[] = {&NS_STATS, NULL};

const struct feature statistics_feature = {
    .name = "statistics",
    .iqs = iqs,
    .server_features = features,
};
