/* The black list and the white list of the server: XEP-0133 sections 4.11 and 4.12. Who is on the
 * black list, and with a white list who is not on that, can neither send to our users nor be sent
 * to. An entry is any JID, and is about all that is below it: a domain, a bare JID, a full one.
 * They are of other servers; what a component of ours serves (a conference, say) may be on the
 * black list and needs no white one.
 *
 * Stanzas are refused here; s2s has no streams with a listed domain (s2s/s2s_peers.c), as if it
 * stood in s2s.deny. Several session managers tell each other. */
#include <stdlib.h>
#include "base/mem.h"
#include "sm/command.h"
#include "sm/flight.h"
#include "sm/kept.h"
#include "sm/peer_lists.h"
#include "sm/send.h"
#include "xmpp/namespaces.h"

#define LIST_MAX 5000u /* entries of one list */
#define RETRY_MS 1000u /* until the lists are read again, when they could not be */

enum { BLACK, WHITE, LISTS };

static const char *const names[LISTS] = {[BLACK] = "black", [WHITE] = "white"};
static const char *const vars[LISTS] = {[BLACK] = "blacklistjids", [WHITE] = "whitelistjids"};

struct peer_lists {
    struct sm *sm;
    struct hash jids[LISTS]; /* text -> struct jid */
    bool prepared;
    struct loop_timer retry;
};

static struct peer_lists *state_of(const struct sm *sm)
{
    return sm->state[FEATURE_peer_lists];
}

/* --- who is on them --- */

static bool has(const struct hash *h, struct str local, struct str domain, struct str resource)
{
    struct jid *jid = jid_from_parts(local, domain, resource);
    bool found = jid && hash_get(h, jid_full(jid));
    jid_unref(jid);
    return found;
}

/* In the order of XEP-0016 section 2.1, which here makes no difference. */
static bool listed(const struct hash *h, const struct jid *jid)
{
    return hash_get(h, jid_full(jid)) || hash_get(h, jid_bare(jid)) ||
           (jid->local_len && !jid_is_bare(jid) &&
            has(h, STR_NULL, jid_domain(jid), jid_resource(jid))) ||
           hash_get(h, jid_domain(jid));
}

bool peer_lists_forbid(const struct sm *sm, const struct jid *jid)
{
    const struct peer_lists *lists = state_of(sm);
    if (sm_domain(sm, jid_domain(jid)))
        return false;
    if (listed(&lists->jids[BLACK], jid))
        return true;
    return lists->jids[WHITE].count && !listed(&lists->jids[WHITE], jid) &&
           !component_peer_up(sm->c, jid_domain(jid));
}

static enum path_result at_client(struct path_event *e)
{
    struct packet *p = e->packet;
    if (!peer_lists_refuse(e->sm, p->to))
        return PATH_PASS;
    send_error(e->sm, e->session, p, STANZA_ERR_NOT_ALLOWED,
               "this server does not let its users speak with that address");
    return PATH_DONE;
}

/* --- in memory --- */

/* Their hashes are made with the first entry: most servers have none. */
static void prepare(struct peer_lists *lists)
{
    for (int i = 0; i < LISTS; i++) {
        uint64_t seed[2];
        random_fill(lists->sm->c->env->random, seed, sizeof seed);
        hash_init(&lists->jids[i], seed);
    }
    lists->prepared = true;
}

static void clear(struct peer_lists *lists)
{
    for (int i = 0; lists->prepared && i < LISTS; i++) {
        struct jid *jid;
        for (size_t at = 0; (jid = hash_next(&lists->jids[i], &at));) {
            hash_del(&lists->jids[i], jid_full(jid));
            jid_unref(jid);
        }
    }
}

static void add(struct hash *h, struct str text)
{
    struct jid *jid = jid_parse(text);
    if (!jid || hash_get(h, jid_full(jid)))
        jid_unref(jid);
    else
        hash_put(h, jid_full(jid), jid);
}

/* To the s2s; they take the domains out of it. */
static void tell_s2s(const struct peer_lists *lists)
{
    struct builder *b = builder_create(STR("peers"), NS_INTERNAL);
    for (int i = 0; i < LISTS; i++) {
        const struct jid *jid;
        for (size_t at = 0; (jid = hash_next(&lists->jids[i], &at));) {
            if (i == BLACK && (jid->local_len || !jid_is_bare(jid)))
                continue; /* others of that domain may speak */
            builder_start(b, str_of(names[i]), STR_NULL);
            builder_attr(b, STR("domain"), jid_domain(jid));
            builder_end(b);
        }
    }
    kept_tell(lists->sm, b);
}

static void on_loaded(void *arg, enum error e, const struct store_rows *rows)
{
    struct sm *sm = arg;
    struct peer_lists *lists = state_of(sm);
    bool listed_before = sm->peers_listed;
    if (!kept_read(sm, e, "black and white list")) {
        if (e != ERR_CANCELLED) /* they stay in force, or come into it: reliability.md G10 */
            loop_timer_start(&lists->retry, RETRY_MS);
        return;
    }
    clear(lists);
    if (store_rows_count(rows) && !lists->prepared)
        prepare(lists);
    for (size_t i = 0; i < store_rows_count(rows); i++)
        for (int k = 0; k < LISTS; k++)
            if (str_is(store_text(rows, i, 0), names[k]))
                add(&lists->jids[k], store_text(rows, i, 1));
    sm->peers_listed = lists->jids[BLACK].count || lists->jids[WHITE].count;
    if (sm->peers_listed || listed_before)
        tell_s2s(lists);
}

static void load(struct sm *sm)
{
    server_lists_load(sm->store, on_loaded, sm);
}

static void on_retry(struct loop_timer *timer)
{
    load(MEM_CONTAINER(timer, struct peer_lists, retry)->sm);
}

static void introduced(struct sm *sm, struct str s2s)
{
    flight_s2s(sm, s2s);
    if (sm->peers_listed)
        tell_s2s(state_of(sm));
}

/* Another sm has changed them, or an s2s has started and asks. */
static enum path_result at_internal(struct path_event *e)
{
    if (kept_told(e->packet, "peers-changed"))
        load(e->sm);
    else if (!kept_told(e->packet, "peers-wanted"))
        return PATH_PASS;
    else
        introduced(e->sm, e->packet->route_from);
    packet_destroy(e->packet);
    return PATH_DONE;
}

/* --- the commands --- */

static const struct data_field black_fields[] = {
    {.type = DATA_JID_MULTI, .var = "blacklistjids", .label = "The black list"}, {.var = NULL}};
static const struct data_field white_fields[] = {
    {.type = DATA_JID_MULTI, .var = "whitelistjids", .label = "The white list"}, {.var = NULL}};

static int compare(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static void fill(struct command_call *call, int which, struct builder *b)
{
    const struct hash *h = &state_of(call->sm)->jids[which];
    struct str *values = mem_alloc_array(h->count + 1, sizeof *values);
    const struct jid *jid;
    size_t count = 0;
    for (size_t at = 0; (jid = hash_next(h, &at));)
        values[count++] = jid_full(jid);
    qsort(values, count, sizeof *values, compare);
    data_form_add(b, call->command->fields, false, values, count);
    free(values);
}

static void fill_black(struct command_call *call, struct builder *b)
{
    fill(call, BLACK, b);
}

static void fill_white(struct command_call *call, struct builder *b)
{
    fill(call, WHITE, b);
}

/* An address that is none, or one of ours: the whole form is refused. */
static bool acceptable(const struct command_call *call, struct str value)
{
    struct jid *jid = jid_parse(value);
    bool ok = jid && !sm_domain(call->sm, jid_domain(jid));
    jid_unref(jid);
    return ok;
}

static struct store_txn *add_row(struct store_txn *t, int which, struct str value)
{
    struct jid *jid = jid_parse(value);
    t = server_lists_add(t, str_of(names[which]), jid_full(jid));
    jid_unref(jid);
    return t;
}

static void run(struct command_call *call, int which)
{
    size_t count = data_form_count(&call->form, vars[which]);
    if (count > LIST_MAX) {
        command_fail(call, "A list has at most %u entries.", LIST_MAX);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        struct str value = data_form_value_at(&call->form, vars[which], i);
        if (acceptable(call, value))
            continue;
        command_fail(call, "\"%.*s\" is no address of another server.", STR_ARG(value));
        return;
    }
    struct store_txn *t = server_lists_clear(store_begin(call->sm->store), str_of(names[which]));
    for (size_t i = 0; i < count; i++)
        t = add_row(t, which, data_form_value_at(&call->form, vars[which], i));
    log_info(&call->sm->c->log, "%s changes the %s list: %zu entries",
             command_requester(call)->text, names[which], count);
    kept_commit(call, t, load, "peers-changed", "The list is changed.");
}

static void run_black(struct command_call *call)
{
    run(call, BLACK);
}

static void run_white(struct command_call *call)
{
    run(call, WHITE);
}

/* Section 4.12 names the nodes add-to-whitelist in its text and edit-whitelist in its examples. */
static const struct command commands[] = {
    {.node = "edit-blacklist",
     .name = "Edit Blacklist",
     .instructions = "Domains and addresses of other servers with whom nobody here can speak.",
     .flags = COMMAND_SERVER,
     .fields = black_fields,
     .fill = fill_black,
     .run = run_black},
    {.node = "edit-whitelist",
     .name = "Edit Whitelist",
     .instructions = "If there are any here, nobody can speak with other servers but these.",
     .flags = COMMAND_SERVER,
     .fields = white_fields,
     .fill = fill_white,
     .run = run_white},
    {.node = NULL}};

/* --- life --- */

static enum path_result at_start(struct path_event *e)
{
    struct peer_lists *lists = MEM_NEW(struct peer_lists);
    lists->sm = e->sm;
    loop_timer_init(&lists->retry, e->sm->loop, on_retry);
    e->sm->state[FEATURE_peer_lists] = lists;
    load(e->sm);
    return PATH_PASS;
}

static enum path_result at_stop(struct path_event *e)
{
    struct peer_lists *lists = state_of(e->sm);
    if (!lists)
        return PATH_PASS;
    clear(lists);
    for (int i = 0; lists->prepared && i < LISTS; i++)
        hash_finish(&lists->jids[i]);
    loop_timer_stop(&lists->retry);
    free(lists);
    e->sm->state[FEATURE_peer_lists] = NULL;
    e->sm->peers_listed = false;
    return PATH_PASS;
}

const struct feature peer_lists_feature = {
    .name = "peer_lists",
    .at = {[PATH_START] = at_start,
           [PATH_STOP] = at_stop,
           [PATH_INTERNAL] = at_internal,
           [PATH_FROM_CLIENT] = at_client},
    .commands = commands,
};
