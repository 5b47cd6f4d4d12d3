/* Publishing of pushes (XEP-0357 section 6): an iq to the app server, one at a time for each
 * registration; what happens meanwhile is told in the next one. A slow or dead app server holds
 * nobody up but its own: so many are under way to each, the others wait in its queue; who does not
 * answer is asked later and later, and forgotten after a day or after an error that will not pass.
 */
#include "sm/push.h"

#include <stdlib.h>
#include "base/mem.h"
#include "sm/send.h"
#include "sm/subscription.h"
#include "xmpp/namespaces.h"

#define OPEN_MAX    100u   /* under way to one app server */
#define ANSWER_MS   30000u /* to wait for an answer */
#define PACE_MS     1000u  /* between two pushes of one registration */
#define RETRY_MS    30000u /* after the first failure; then twice as long each time */
#define RETRY_MAX   3600000u
#define FAILURES    30u /* in a row: about a day */
#define TICK_MS     500u
#define PATIENCE_MS 10000u /* an inactive client has to acknowledge what is worth a push */

/* An app server with something under way or waiting. */
struct push_service {
    struct list waiting; /* struct push */
    uint32_t open;
    size_t name_len;
    char name[];
};

struct push_publisher {
    struct sm *sm;
    struct hash open;     /* id -> struct push */
    struct hash services; /* JID -> struct push_service */
    struct list timed;    /* struct push: open or paused */
    struct list watched;  /* struct session, in the order of push.at */
    struct loop_timer timer;
};

static struct push_publisher *publisher_of(const struct sm *sm)
{
    return sm->state[FEATURE_push];
}

/* --- services --- */

static struct push_service *service_get(struct push_publisher *p, const struct jid *jid)
{
    struct str name = jid_full(jid);
    struct push_service *service = hash_get(&p->services, name);
    if (service)
        return service;
    service = mem_alloc(sizeof *service + name.len);
    service->name_len = name.len;
    memcpy(service->name, name.data, name.len);
    list_init(&service->waiting);
    hash_put(&p->services, (struct str){service->name, name.len}, service);
    return service;
}

static void open_one(struct push_publisher *p, struct push *push);

/* One less is under way: the next may go. */
static void service_continue(struct push_publisher *p, struct push_service *service)
{
    while (service->open < OPEN_MAX && !list_empty(&service->waiting))
        open_one(p, LIST_ENTRY(service->waiting.next, struct push, queued));
    if (service->open || !list_empty(&service->waiting))
        return;
    hash_del(&p->services, (struct str){service->name, service->name_len});
    free(service);
}

/* --- the states of a push --- */

static void run_timer(struct push_publisher *p)
{
    if (!loop_timer_running(&p->timer))
        loop_timer_start(&p->timer, TICK_MS);
}

/* Out of every list; a state other than idle has to follow, or release. */
static void leave(struct push_publisher *p, struct push *push)
{
    struct push_service *service = push->service;
    list_remove(&push->timed);
    list_remove(&push->queued);
    push->service = NULL;
    if (push->state == PUSH_OPEN) {
        hash_del(&p->open, session_id_str(&push->id));
        service->open--;
    }
    push->state = PUSH_IDLE;
    if (service)
        service_continue(p, service);
}

static void enter(struct push_publisher *p, struct push *push, enum push_state state, uint64_t at)
{
    push->state = state;
    push->at = at;
    list_push(&p->timed, &push->timed);
    run_timer(p);
}

/* --- what is told --- */

static void add_field(struct builder *b, const char *var, struct str value)
{
    builder_start(b, STR("field"), NS_DATA);
    builder_attr(b, STR("var"), str_of(var));
    builder_leaf(b, STR("value"), NS_DATA, value);
    builder_end(b);
}

static void add_count(struct builder *b, const char *var, uint32_t count)
{
    char text[16];
    size_t len = (size_t)snprintf(text, sizeof text, "%u", count);
    if (count)
        add_field(b, var, (struct str){text, len});
}

static uint32_t pending_requests(const struct user *user)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < user->roster.count; i++)
        count += subscription_pending_in(user->roster.items[i]->state);
    return count;
}

/* urn:xmpp:push:summary, as much of it as sm.push_summary allows (section 9). */
static void add_summary(struct builder *b, const struct push *push)
{
    if (strcmp(push->user->sm->c->env->config->sm_push_summary, "none") == 0)
        return;
    builder_start(b, STR("x"), NS_DATA);
    builder_attr(b, STR("type"), STR("submit"));
    add_field(b, "FORM_TYPE", NS_PUSH_SUMMARY);
    add_count(b, "message-count", push->count);
    add_count(b, "pending-subscription-count", pending_requests(push->user));
    if (push->sender)
        add_field(b, "last-message-sender", jid_full(push->sender));
    if (push->body)
        add_field(b, "last-message-body", str_of(push->body));
    builder_end(b);
}

static struct stanza *publish_stanza(const struct push *push)
{
    struct builder *b = builder_create(STR("iq"), NS_CLIENT);
    builder_attr(b, STR("type"), STR("set"));
    builder_attr(b, STR("id"), session_id_str(&push->id));
    builder_start(b, STR("pubsub"), NS_PUBSUB);
    builder_start(b, STR("publish"), NS_PUBSUB);
    builder_attr(b, STR("node"), *push->node ? str_of(push->node) : STR_NULL);
    builder_start(b, STR("item"), NS_PUBSUB);
    builder_start(b, STR("notification"), NS_PUSH);
    add_summary(b, push);
    builder_end(b);
    builder_end(b);
    builder_end(b);
    if (push->options) {
        builder_start(b, STR("publish-options"), NS_PUBSUB);
        builder_copy(b, push->options, STANZA_ROOT);
        builder_end(b);
    }
    builder_end(b);
    return builder_finish(b);
}

/* From the user's bare JID, one of those that a node of an app server lets publish (section 3.3):
 * so its answer comes to the session manager that has the user. */
static void open_one(struct push_publisher *p, struct push *push)
{
    struct sm *sm = p->sm;
    uint64_t now = loop_now(sm->loop);
    list_remove(&push->queued);
    session_id_make(&push->id, sm->c->env->random);
    hash_put(&p->open, session_id_str(&push->id), push);
    push->service->open++;
    push->again = false;
    push->not_before = now + PACE_MS;
    enter(p, push, PUSH_OPEN, now + ANSWER_MS);
    struct stanza *s = publish_stanza(push);
    send_route(sm, s, push->user->jid, push->jid);
    stanza_unref(s);
}

static void start(struct push_publisher *p, struct push *push)
{
    uint64_t now = loop_now(p->sm->loop);
    if (now < push->not_before) {
        enter(p, push, PUSH_PAUSED, push->not_before);
        return;
    }
    push->service = service_get(p, push->jid);
    if (push->service->open < OPEN_MAX) {
        open_one(p, push);
        return;
    }
    push->state = PUSH_WAITING;
    list_push(&push->service->waiting, &push->queued);
}

void push_publish(struct push *push)
{
    push->again = true;
    if (push->state != PUSH_IDLE)
        return;
    user_hold(push->user);
    start(publisher_of(push->user->sm), push);
}

void push_cancel(struct push *push)
{
    struct user *user = push->user;
    struct push_publisher *p = publisher_of(user->sm);
    push->again = false;
    if (push->state == PUSH_IDLE || !p)
        return;
    leave(p, push);
    user_release(user);
}

/* --- answers: section 6.1 --- */

static void succeeded(struct push_publisher *p, struct push *push)
{
    struct user *user = push->user;
    push->failures = 0;
    leave(p, push);
    if (push->again)
        start(p, push);
    else
        user_release(user);
}

/* What has been said in vain is said again. */
static void failed(struct push_publisher *p, struct push *push)
{
    struct user *user = push->user;
    uint64_t pause = RETRY_MS;
    if (++push->failures >= FAILURES) {
        log_info(&p->sm->c->log, "push of %s to %s is over: no success in %u attempts",
                 user->jid->text, push->jid->text, push->failures);
        push_remove(push);
        return;
    }
    for (uint32_t i = 1; i < push->failures && pause < RETRY_MAX; i++)
        pause *= 2;
    leave(p, push);
    push->not_before = loop_now(p->sm->loop) + (pause < RETRY_MAX ? pause : RETRY_MAX);
    push->again = true;
    start(p, push);
}

/* An error that may pass by itself; all others end the registration at once. */
static bool passes(const struct stanza *s)
{
    static const char *const passing[] = {"internal-server-error",   "recipient-unavailable",
                                          "remote-server-not-found", "remote-server-timeout",
                                          "resource-constraint",     "service-unavailable"};
    stanza_el error = stanza_child(s, STANZA_ROOT, STR("error"), STR_NULL);
    if (error == STANZA_NONE)
        return false;
    if (str_is(stanza_attr(s, error, STR("type")), "wait"))
        return true;
    for (size_t i = 0; i < sizeof passing / sizeof passing[0]; i++)
        if (stanza_child(s, error, str_of(passing[i]), NS_STANZA_ERROR) != STANZA_NONE)
            return true;
    return false;
}

static struct push *find_open(const struct sm *sm, const struct stanza *s)
{
    struct push_publisher *p = publisher_of(sm);
    struct str id = stanza_attr(s, STANZA_ROOT, STR("id"));
    return p && p->open.count && id.len ? hash_get(&p->open, id) : NULL;
}

bool push_answered(struct sm *sm, struct packet *packet)
{
    struct push_publisher *p = publisher_of(sm);
    struct str type = send_type(packet->stanza);
    bool error = str_is(type, "error");
    struct push *push = error || str_is(type, "result") ? find_open(sm, packet->stanza) : NULL;
    if (!push || !jid_eq(packet->from, push->jid))
        return false;
    if (!error) {
        succeeded(p, push);
    } else if (passes(packet->stanza)) {
        failed(p, push);
    } else {
        log_info(&sm->c->log, "push of %s to %s is over: the app server refuses it",
                 push->user->jid->text, push->jid->text);
        push_remove(push);
    }
    packet_destroy(packet);
    return true;
}

bool push_bounced(struct sm *sm, const struct packet *packet)
{
    struct push *push = find_open(sm, packet->stanza);
    if (push)
        failed(publisher_of(sm), push);
    return push != NULL;
}

/* --- time --- */

static void look_at(struct push_publisher *p, struct push *push)
{
    if (push->state == PUSH_OPEN) {
        failed(p, push); /* no answer */
        return;
    }
    list_remove(&push->timed);
    push->state = PUSH_IDLE;
    start(p, push);
}

void push_watch(struct session *session)
{
    struct push_publisher *p = publisher_of(session->user->sm);
    if (!list_empty(&session->push.watched))
        return;
    session->push.at = loop_now(p->sm->loop) + PATIENCE_MS;
    list_push(&p->watched, &session->push.watched);
    run_timer(p);
}

void push_unwatch(struct session *session)
{
    list_remove(&session->push.watched);
}

static void look_at_watched(struct push_publisher *p, uint64_t now)
{
    while (!list_empty(&p->watched)) {
        struct session *s = LIST_ENTRY(p->watched.next, struct session, push.watched);
        if (s->push.at > now)
            return;
        push_unwatch(s);
        if (s->csi && !s->asleep)
            push_unacknowledged(s, PATIENCE_MS);
    }
}

/* Those that are looked at go to the end of the list, or out of it. */
static void on_timer(struct loop_timer *timer)
{
    struct push_publisher *p = MEM_CONTAINER(timer, struct push_publisher, timer);
    uint64_t now = loop_now(p->sm->loop);
    look_at_watched(p, now);
    LIST_EACH_SAFE (it, &p->timed) {
        struct push *push = LIST_ENTRY(it, struct push, timed);
        if (push->at <= now)
            look_at(p, push);
    }
    if (!list_empty(&p->timed) || !list_empty(&p->watched))
        run_timer(p);
}

/* --- life --- */

struct push_publisher *push_publisher_create(struct sm *sm)
{
    struct push_publisher *p = MEM_NEW(struct push_publisher);
    uint64_t seed[2];
    random_fill(sm->c->env->random, seed, sizeof seed);
    p->sm = sm;
    hash_init(&p->open, seed);
    hash_init(&p->services, seed);
    list_init(&p->timed);
    list_init(&p->watched);
    loop_timer_init(&p->timer, sm->loop, on_timer);
    return p;
}

/* The users go later: theirs are idle from now on. */
void push_publisher_destroy(struct push_publisher *p)
{
    struct push_service *service;
    struct list *node;
    if (!p)
        return;
    loop_timer_stop(&p->timer);
    while ((node = list_pop(&p->timed)))
        LIST_ENTRY(node, struct push, timed)->state = PUSH_IDLE;
    while (list_pop(&p->watched))
        continue;
    for (size_t i = 0; (service = hash_next(&p->services, &i));) {
        while ((node = list_pop(&service->waiting)))
            LIST_ENTRY(node, struct push, queued)->state = PUSH_IDLE;
        free(service);
    }
    hash_finish(&p->services);
    hash_finish(&p->open);
    free(p);
}
