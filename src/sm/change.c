/* Durable changes of roster items. See change.h. */
#include "sm/change.h"

#include <stdlib.h>
#include "base/mem.h"
#include "sm/deliver.h"
#include "sm/send.h"
#include "xmpp/namespaces.h"

struct change {
    struct user *user;
    struct jid *jid;
    struct roster_item *before; /* a copy; NULL: there was none */
    uint64_t version;
    struct stanza *push;   /* NULL: none */
    struct packet *origin; /* NULL: nobody to answer */
    struct session_id origin_session;
    bool goes_first;
};

struct change *change_begin(struct user *user, struct jid *jid)
{
    struct change *c = MEM_NEW(struct change);
    struct roster_item *item = roster_find(&user->roster, jid_full(jid));
    c->user = user;
    c->jid = jid_ref(jid);
    c->before = item ? roster_item_copy(item) : NULL;
    user_hold(user);
    return c;
}

void change_origin(struct change *c, struct packet *request)
{
    c->origin = request;
}

uint64_t change_version(struct user *user)
{
    return ++user->roster.version;
}

/* --- the push --- */

struct stanza *change_push_stanza(struct user *user, const struct roster_item *item, bool removed,
                                  uint64_t version)
{
    char id[26], room[ROSTER_VERSION_SIZE];
    random_token(user->sm->c->env->random, id, 16);
    struct builder *b = builder_create(STR("iq"), NS_CLIENT);
    builder_attr(b, STR("type"), STR("set"));
    builder_attr(b, STR("id"), (struct str){id, 16});
    builder_start(b, STR("query"), NS_ROSTER);
    builder_attr(b, STR("ver"), roster_version_write(&user->roster, version, room));
    roster_item_write(item, removed, b);
    builder_end(b);
    return builder_finish(b);
}

void change_push(struct change *c)
{
    const struct roster_item *item = roster_find(&c->user->roster, jid_full(c->jid));
    bool removed = !item || item->hidden;
    const struct roster_item *shown = item ? item : c->before;
    if (!shown)
        return;
    c->push = change_push_stanza(c->user, shown, removed, c->user->roster.version);
}

static void send_push(const struct change *c)
{
    for (struct session *s = c->user->sessions; s; s = s->next)
        if (s->interested)
            send_session(s, c->push, NULL, s->jid); /* no `from`: section 2.1.6 */
}

/* --- who waits for it --- */

void change_goes_first(struct change *c)
{
    c->goes_first = true;
    c->user->behind.open = true;
}

bool change_wait(struct user *user, struct packet *p)
{
    struct user_behind *behind = &user->behind;
    if (behind->count >= SM_MAX_WAITING)
        return false;
    behind->count++;
    list_push(&behind->packets, &p->node);
    return true;
}

/* In order; stops when one of them begins another change that goes first. At the end of the
 * instance they stay: the store takes nothing any more. */
static void go_on(struct user *user)
{
    struct list *node;
    user->behind.open = false;
    while (!user->sm->closing && !user->behind.open && (node = list_pop(&user->behind.packets))) {
        struct packet *p = LIST_ENTRY(node, struct packet, node);
        user->behind.count--;
        if (user->state == USER_READY)
            deliver_user(user, p);
        else if (!user_wait(user, p))
            send_error(user->sm, NULL, p, STANZA_ERR_RESOURCE_CONSTRAINT, NULL);
    }
}

/* --- the commit --- */

/* As it was, unless a later change has been built on top: that one's write has the whole item. */
static void undo(struct change *c)
{
    struct roster *r = &c->user->roster;
    struct roster_item *now = roster_find(r, jid_full(c->jid));
    if (now && now->version != c->version)
        return;
    if (c->before) {
        roster_restore(r, c->before);
        c->before = NULL;
    } else {
        roster_item_destroy(roster_take(r, jid_full(c->jid)));
    }
}

/* The answer to who asked: an iq gets its result or error, a presence only an error. */
static void answer(struct change *c, enum error e)
{
    struct sm *sm = c->user->sm;
    struct packet *p = c->origin;
    struct session *session = session_find(sm, &c->origin_session);
    if (!session && p->sm.len) /* its client may have come back to it by another stream */
        session = session_of(c->user, jid_resource(p->from));
    c->origin = NULL;
    if (e) {
        send_error(sm, session, p, send_condition(e), NULL);
        return;
    }
    if (session && send_kind_of(p->stanza) == SEND_IQ) {
        struct stanza *result = stanza_result(p->stanza, STR_NULL, STR_NULL);
        send_session(session, result, p->to, session->jid);
        stanza_unref(result);
    }
    packet_destroy(p);
}

static void on_committed(void *arg, enum error e, const struct store_rows *rows)
{
    struct change *c = arg;
    struct user *user = c->user;
    bool went_first = c->goes_first;
    if (e)
        undo(c);
    else if (c->push)
        send_push(c);
    if (c->origin)
        answer(c, e);
    stanza_unref(c->push);
    roster_item_destroy(c->before);
    jid_unref(c->jid);
    free(c);
    if (went_first)
        go_on(user);
    user_release(user);
}

void change_commit(struct change *c)
{
    struct user *user = c->user;
    struct str owner = jid_full(user->jid);
    struct roster_item *item = roster_find(&user->roster, jid_full(c->jid));
    struct store_txn *t = store_begin(user->sm->store);
    c->version = user->roster.version;
    if (c->origin)
        c->origin_session = c->origin->sm;
    if (item)
        t = roster_item_store(t, owner, item);
    else
        t = roster_remove(t, owner, jid_full(c->jid), c->version);
    store_commit(t, on_committed, c);
}
