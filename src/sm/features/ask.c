/* Questions to the other components of this server, and their answers. See ask.h. */
#include "sm/ask.h"

#include <stdlib.h>
#include "base/mem.h"
#include "xmpp/namespaces.h"

struct question {
    struct sm *sm;
    struct list node; /* oldest first */
    struct session_id id;
    uint64_t deadline;
    size_t expected; /* answers still to come */
    bool all;
    ask_fn fn;
    void *arg;
};

struct ask_state {
    struct sm *sm;
    struct hash questions; /* id -> struct question */
    struct list order;
    struct loop_timer timer;
};

static struct ask_state *state_of(const struct sm *sm)
{
    return sm->state[FEATURE_ask];
}

/* --- questions --- */

static void forget(struct ask_state *as, struct question *q)
{
    hash_del(&as->questions, session_id_str(&q->id));
    list_remove(&q->node);
    free(q);
}

/* The last word to the one who asked. */
static void end(struct ask_state *as, struct question *q)
{
    ask_fn fn = q->fn;
    void *arg = q->arg;
    forget(as, q);
    fn(arg, NULL);
}

/* Deadlines are not in the order of the list: questions to all wait less. There are few. */
static void on_timer(struct loop_timer *timer)
{
    struct ask_state *as = MEM_CONTAINER(timer, struct ask_state, timer);
    uint64_t now = loop_now(as->sm->loop);
    LIST_EACH_SAFE (it, &as->order) {
        struct question *q = LIST_ENTRY(it, struct question, node);
        if (q->deadline <= now)
            end(as, q);
    }
    if (!list_empty(&as->order))
        loop_timer_start(timer, 500);
}

struct question *ask_begin(struct sm *sm, ask_fn fn, void *arg)
{
    struct ask_state *as = state_of(sm);
    struct question *q = MEM_NEW(struct question);
    bool full = as->questions.count >= ASK_MAX;
    session_id_make(&q->id, sm->c->env->random);
    q->sm = sm;
    q->fn = fn;
    q->arg = arg;
    q->expected = 1;
    q->deadline = loop_now(sm->loop) + (full ? 0 : ASK_TIMEOUT_MS); /* refused in the next turn */
    hash_put(&as->questions, session_id_str(&q->id), q);
    list_push(&as->order, &q->node);
    if (full || !loop_timer_running(&as->timer))
        loop_timer_start(&as->timer, full ? 0 : 500);
    return q;
}

struct builder *ask_open(const struct question *q, const char *name, const char *action)
{
    struct builder *b = builder_create(str_of(name), NS_INTERNAL);
    builder_attr(b, STR("id"), session_id_str(&q->id));
    builder_attr(b, STR("action"), str_of(action));
    return b;
}

/* --- to whom --- */

static struct str some_c2s(const struct sm *sm)
{
    struct peer *peer;
    for (size_t i = 0; (peer = hash_next(&sm->peers, &i));)
        if (component_peer_up(sm->c, peer_name(peer)))
            return peer_name(peer);
    return str_of(sm->c->env->config->c2s_id);
}

void ask_c2s(struct question *q, const struct session *session, struct builder *b)
{
    ask_component(q, session ? peer_name(session->peer) : some_c2s(q->sm), b);
}

void ask_component(struct question *q, struct str name, struct builder *b)
{
    struct packet *p = packet_create(PACKET_STANZA, name, str_of(q->sm->c->id));
    p->stanza = builder_finish(b);
    component_send(q->sm->c, p);
}

void ask_user(struct question *q, struct jid *jid, struct builder *b)
{
    struct sm *sm = q->sm;
    struct packet *p = packet_create(PACKET_STANZA, jid_domain(jid), str_of(sm->c->id));
    p->stanza = builder_finish(b);
    p->to = jid_ref(jid);
    p->from = jid_to_domain(jid);
    component_send(sm->c, p);
}

void ask_all(struct question *q, struct str domain, struct builder *b)
{
    struct sm *sm = q->sm;
    size_t owners = component_owners(sm->c, domain);
    q->all = true;
    q->expected = owners > 1 ? owners - 1 : 0;
    q->deadline = loop_now(sm->loop) + (q->expected ? ASK_ALL_MS : 0);
    struct packet *p = packet_create(PACKET_BROADCAST, STR_NULL, str_of(sm->c->id));
    p->stanza = builder_finish(b);
    if (q->expected) {
        component_send(sm->c, p);
        return;
    }
    packet_destroy(p);
    loop_timer_start(&state_of(sm)->timer, 0);
}

void ask_session(struct question *q, enum session_action action, struct jid *jid)
{
    struct sm *sm = q->sm;
    struct packet *p =
        packet_create_session(jid_domain(jid), str_of(sm->c->id), action, jid, STR_NULL);
    p->c2s = p->request = q->id;
    component_send(sm->c, p);
}

/* --- answers --- */

static void answered(struct ask_state *as, struct str id, const struct stanza *answer)
{
    struct question *q = id.len ? hash_get(&as->questions, id) : NULL;
    if (!q)
        return; /* too late */
    if (q->all) {
        q->fn(q->arg, answer);
        if (--q->expected == 0)
            end(as, q);
        return;
    }
    ask_fn fn = q->fn;
    void *arg = q->arg;
    forget(as, q);
    fn(arg, answer);
}

void ask_session_answered(struct sm *sm, const struct packet *p)
{
    struct builder *b = builder_create(STR("answer"), NS_INTERNAL);
    if (p->failed || p->error)
        builder_attr(b, STR("error"), STR("internal-server-error"));
    struct stanza *answer = builder_finish(b);
    answered(state_of(sm), session_id_str(&p->request), answer);
    stanza_unref(answer);
}

struct builder *ask_answer_open(const struct packet *request, const char *error)
{
    struct builder *b = builder_create(STR("answer"), NS_INTERNAL);
    builder_attr(b, STR("id"), stanza_attr(request->stanza, STANZA_ROOT, STR("id")));
    builder_attr(b, STR("error"), str_of(error));
    return b;
}

void ask_answer_send(struct sm *sm, const struct packet *request, struct builder *b)
{
    struct packet *p = packet_create(PACKET_STANZA, request->route_from, str_of(sm->c->id));
    p->stanza = builder_finish(b);
    component_send(sm->c, p);
}

enum stanza_condition ask_condition(const struct stanza *answer)
{
    struct str error = answer ? stanza_attr(answer, STANZA_ROOT, STR("error")) : STR_NULL;
    if (answer && !error.data)
        return STANZA_ERR_NONE;
    for (int c = STANZA_ERR_BAD_REQUEST; error.data && c <= STANZA_ERR_UNEXPECTED_REQUEST; c++)
        if (str_eq(stanza_error_element((enum stanza_condition)c), error))
            return (enum stanza_condition)c;
    return STANZA_ERR_INTERNAL_SERVER_ERROR;
}

static enum path_result at_internal(struct path_event *e)
{
    struct packet *p = e->packet;
    struct str id = stanza_attr(p->stanza, STANZA_ROOT, STR("id"));
    if (p->error) /* nobody was there */
        answered(state_of(e->sm), id, NULL);
    else if (p->kind == PACKET_STANZA &&
             stanza_is(p->stanza, STANZA_ROOT, STR("answer"), NS_INTERNAL))
        answered(state_of(e->sm), id, p->stanza);
    else
        return PATH_PASS;
    packet_destroy(p);
    return PATH_DONE;
}

/* --- life --- */

static enum path_result at_start(struct path_event *e)
{
    struct ask_state *as = MEM_NEW(struct ask_state);
    uint64_t seed[2];
    random_fill(e->sm->c->env->random, seed, sizeof seed);
    as->sm = e->sm;
    hash_init(&as->questions, seed);
    list_init(&as->order);
    loop_timer_init(&as->timer, e->sm->loop, on_timer);
    e->sm->state[FEATURE_ask] = as;
    return PATH_PASS;
}

static enum path_result at_stop(struct path_event *e)
{
    struct ask_state *as = state_of(e->sm);
    if (!as)
        return PATH_PASS;
    while (!list_empty(&as->order))
        end(as, LIST_ENTRY(as->order.next, struct question, node));
    hash_finish(&as->questions);
    loop_timer_stop(&as->timer);
    free(as);
    e->sm->state[FEATURE_ask] = NULL;
    return PATH_PASS;
}

const struct feature ask_feature = {
    .name = "ask",
    .at = {[PATH_START] = at_start, [PATH_STOP] = at_stop, [PATH_INTERNAL] = at_internal},
};
