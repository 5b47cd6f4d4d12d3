/* Changes of privacy lists: see privacy_change.h. */
#include "sm/privacy_change.h"

#include <stdlib.h>
#include "base/mem.h"
#include "sm/presence.h"
#include "sm/send.h"
#include "xmpp/namespaces.h"

#define MAX_WAITING 100u /* requests of one user */

/* --- one at a time --- */

struct waiting {
    struct list node; /* in privacy->waiting */
    struct iq *iq;
    enum stanza_condition (*run)(struct iq *iq);
};

bool privacy_wait(struct iq *iq, enum stanza_condition (*run)(struct iq *iq))
{
    struct privacy *p = iq->user->privacy;
    if (!p || !p->busy)
        return false;
    struct waiting *waiting = MEM_NEW(struct waiting);
    waiting->iq = iq_take(iq);
    waiting->run = run;
    if (p->waiting_count >= MAX_WAITING) {
        iq_finish(waiting->iq, STANZA_ERR_RESOURCE_CONSTRAINT);
        free(waiting);
        return true;
    }
    p->waiting_count++;
    list_push(&p->waiting, &waiting->node);
    return true;
}

static void run_waiting(struct user *user)
{
    struct privacy *p;
    struct list *node;
    while ((p = user->privacy) && !p->busy && (node = list_pop(&p->waiting))) {
        struct waiting *waiting = LIST_ENTRY(node, struct waiting, node);
        p->waiting_count--;
        if (user->state == USER_READY)
            iq_again(waiting->iq, waiting->run);
        else
            iq_finish(waiting->iq, STANZA_ERR_INTERNAL_SERVER_ERROR);
        free(waiting);
    }
}

void privacy_drop_waiting(struct privacy *p)
{
    struct list *node;
    while (p && (node = list_pop(&p->waiting))) {
        struct waiting *waiting = LIST_ENTRY(node, struct waiting, node);
        packet_destroy(waiting->iq->packet);
        free(waiting->iq);
        free(waiting);
    }
}

bool privacy_in_use(const struct user *user, const struct privacy_list *list,
                    const struct session *except)
{
    for (const struct session *s = user->sessions; s; s = s->next)
        if (s != except && list && privacy_of(s) == list)
            return true;
    return false;
}

/* --- who sees what from now on --- */

#define HIDE 1u /* our presence is no longer to be seen by them */
#define SHOW 2u
#define LOSE 4u /* theirs by us */
#define GAIN 8u

static bool allows(const struct user *user, const struct privacy_items *items,
                   const struct jid *who, unsigned kind)
{
    const struct privacy_item *item = privacy_match(items, &user->roster, who, kind);
    return !item || !item->deny;
}

static unsigned difference(const struct user *user, const struct privacy_items *old,
                           const struct privacy_items *now, const struct jid *who)
{
    bool shown = allows(user, old, who, PRIVACY_PRESENCE_OUT);
    bool seen = allows(user, old, who, PRIVACY_PRESENCE_IN);
    unsigned flags = 0;
    if (shown != allows(user, now, who, PRIVACY_PRESENCE_OUT))
        flags |= shown ? HIDE : SHOW;
    if (seen != allows(user, now, who, PRIVACY_PRESENCE_IN))
        flags |= seen ? LOSE : GAIN;
    return flags;
}

static struct stanza *presence_of_type(const char *type)
{
    struct builder *b = builder_create(STR("presence"), NS_CLIENT);
    builder_attr(b, STR("type"), str_of(type));
    return builder_finish(b);
}

static void tell_contact(struct session *s, const struct roster_item *contact, unsigned flags)
{
    struct sm *sm = s->user->sm;
    bool from = subscription_from(contact->state), to = subscription_to(contact->state);
    struct stanza *absent = presence_of_type("unavailable");
    if (from && flags & HIDE)
        send_route(sm, absent, s->jid, contact->jid);
    if (from && flags & SHOW)
        send_route(sm, s->presence, s->jid, contact->jid);
    if (to && flags & LOSE)
        send_session(s, absent, contact->jid, s->jid);
    if (to && flags & GAIN) {
        struct stanza *probe = presence_of_type("probe");
        send_route(sm, probe, s->jid, contact->jid);
        stanza_unref(probe);
    }
    stanza_unref(absent);
}

/* Who was sent directed presence and may not see it any more. */
static void tell_directed(struct session *s, const struct privacy_items *old,
                          const struct privacy_items *now)
{
    const struct user *user = s->user;
    struct stanza *absent = presence_of_type("unavailable");
    for (uint32_t i = 0; i < s->directed_count; i++) {
        struct jid *to = s->directed[i];
        const struct roster_item *contact = roster_find(&user->roster, jid_bare(to));
        if (contact && subscription_from(contact->state) && session_available(s))
            continue; /* told with the others */
        if (difference(user, old, now, to) & HIDE)
            send_route(user->sm, absent, s->jid, to);
    }
    stanza_unref(absent);
}

/* What applied to each session before a change; and the contacts' differences for one pair of
 * contents, which most often is that of all sessions. */
struct before {
    struct session *session;
    struct privacy_items items;
};

struct differences {
    const struct privacy_item *old, *now;
    uint8_t *flags; /* of each roster item; NULL: not yet known */
};

static struct privacy_items applied(const struct session *s)
{
    const struct privacy_list *list = privacy_of(s);
    return list ? list->content : (struct privacy_items){0};
}

static void tell_session(struct session *s, const struct privacy_items *old,
                         struct differences *differences)
{
    const struct roster *roster = &s->user->roster;
    struct privacy_items now = applied(s);
    if (old->items == now.items)
        return;
    tell_directed(s, old, &now);
    if (!session_available(s) || !roster->count)
        return;
    if (!differences->flags || differences->old != old->items || differences->now != now.items) {
        free(differences->flags);
        *differences = (struct differences){old->items, now.items, mem_alloc(roster->count)};
        for (uint32_t i = 0; i < roster->count; i++)
            differences->flags[i] = (uint8_t)difference(s->user, old, &now, roster->items[i]->jid);
    }
    for (uint32_t i = 0; i < roster->count; i++)
        if (differences->flags[i])
            tell_contact(s, roster->items[i], differences->flags[i]);
}

static struct before *note_before(const struct user *user)
{
    struct before *before = mem_alloc_array(user->session_count + 1, sizeof *before);
    size_t i = 0;
    for (struct session *s = user->sessions; s; s = s->next)
        before[i++] = (struct before){s, applied(s)};
    return before;
}

static void tell_everybody(struct user *user, const struct before *before)
{
    struct differences differences = {NULL, NULL, NULL};
    user->privacy->changing = true;
    for (size_t i = 0; before[i].session; i++)
        tell_session(before[i].session, &before[i].items, &differences);
    user->privacy->changing = false;
    free(differences.flags);
}

/* --- pushes --- */

static struct builder *push_open(const struct user *user, struct str name, struct str ns)
{
    char id[26];
    random_token(user->sm->c->env->random, id, 16);
    struct builder *b = builder_create(STR("iq"), NS_CLIENT);
    builder_attr(b, STR("type"), STR("set"));
    builder_attr(b, STR("id"), (struct str){id, 16});
    builder_start(b, name, ns);
    return b;
}

/* XEP-0016 section 2.2: to every connected resource. Clients that know the block list alone are
 * left in peace when it was changed by that protocol. */
static void push_list(const struct user *user, struct str name, bool blocking)
{
    struct builder *b = push_open(user, STR("query"), NS_PRIVACY);
    builder_start(b, STR("list"), STR_NULL);
    builder_attr(b, STR("name"), name);
    builder_end(b);
    struct stanza *push = builder_finish(b);
    for (struct session *s = user->sessions; s; s = s->next)
        if (!blocking || s->knows_privacy)
            send_session(s, push, NULL, s->jid);
    stanza_unref(push);
}

static bool blocks(const struct privacy_items *items, const struct jid *jid)
{
    for (uint32_t i = 0; i < items->count; i++)
        if (privacy_is_block(&items->items[i]) && jid_eq(items->items[i].jid, jid))
            return true;
    return false;
}

static void push_blocking(const struct user *user, struct stanza *push)
{
    for (struct session *s = user->sessions; s; s = s->next)
        if (s->knows_blocklist)
            send_session(s, push, NULL, s->jid);
    stanza_unref(push);
}

/* XEP-0191 sections 3.3 to 3.5: what is blocked in the first and not in the second. */
static void push_difference(const struct user *user, struct str name,
                            const struct privacy_items *in, const struct privacy_items *not_in)
{
    struct builder *b = push_open(user, name, NS_BLOCKING);
    bool any = false;
    for (uint32_t i = 0; i < in->count; i++) {
        if (!privacy_is_block(&in->items[i]) || blocks(not_in, in->items[i].jid))
            continue;
        builder_start(b, STR("item"), STR_NULL);
        builder_attr(b, STR("jid"), jid_full(in->items[i].jid));
        builder_end(b);
        any = true;
    }
    struct stanza *push = builder_finish(b);
    if (any)
        push_blocking(user, push);
    else
        stanza_unref(push);
}

static void push_blocklist(const struct user *user, const struct privacy_items *old,
                           const struct privacy_items *now, bool all)
{
    bool wanted = false;
    for (const struct session *s = user->sessions; s; s = s->next)
        wanted = wanted || s->knows_blocklist;
    if (!wanted)
        return;
    if (all) {
        push_blocking(user, builder_finish(push_open(user, STR("unblock"), NS_BLOCKING)));
        return;
    }
    push_difference(user, STR("block"), now, old);
    push_difference(user, STR("unblock"), old, now);
}

/* --- the change --- */

struct commit {
    struct iq *iq;
    struct privacy_change change; /* with texts of its own */
};

static void commit_destroy(struct commit *c)
{
    free((char *)c->change.list.data);
    free((char *)c->change.standard.data);
    privacy_items_finish(&c->change.items);
    free(c);
}

static struct privacy_items standard_items(const struct user *user)
{
    const struct privacy *p = user->privacy;
    return p && p->standard ? p->standard->content : (struct privacy_items){0};
}

static void take_effect(struct user *user, struct session *session, struct privacy_change *change)
{
    struct privacy_items old = {0}, blocked = standard_items(user), blocked_now;
    struct privacy *p = privacy_get(user);
    struct before *before = note_before(user);
    if (change->list.data)
        privacy_put(user, change->list, &change->items, &old);
    if (change->set_standard)
        p->standard = change->standard.data ? privacy_find(user, change->standard) : NULL;
    if (change->set_active && session)
        session->active = change->active;
    tell_everybody(user, before);
    free(before);
    blocked_now = standard_items(user);
    if (blocked.items != blocked_now.items)
        push_blocklist(user, &blocked, &blocked_now, change->all);
    if (change->list.data)
        push_list(user, change->list, change->blocking);
    privacy_items_finish(&old);
}

static void on_committed(void *arg, enum error e, const struct store_rows *rows)
{
    struct commit *c = arg;
    struct user *user = c->iq->user;
    user->privacy->busy = false;
    user_hold(user);
    if (!e) {
        iq_result(c->iq);
        take_effect(user, NULL, &c->change);
    }
    iq_finish(c->iq, e ? send_condition(e) : STANZA_ERR_NONE);
    commit_destroy(c);
    run_waiting(user);
    if (!user->privacy->count && !user->privacy->busy) { /* costs nothing any more */
        privacy_destroy(user->privacy);
        user->privacy = NULL;
    }
    user_release(user);
}

static struct str own(struct str text)
{
    return text.data ? (struct str){str_dup(text), text.len} : STR_NULL;
}

static struct store_txn *write_list(struct store_txn *t, struct str owner,
                                    const struct privacy_change *change)
{
    privacy_delete(t, owner, change->list);
    for (uint32_t i = 0; i < change->items.count; i++) {
        const struct privacy_item *item = &change->items.items[i];
        struct privacy_row row = {
            .list = change->list,
            .type = privacy_type_name(item->type),
            .value = privacy_value(item),
            .deny = item->deny,
            .order = item->order,
            .block = item->block,
        };
        privacy_add(t, owner, &row);
    }
    return t;
}

void privacy_commit(struct iq *iq, struct privacy_change *change)
{
    struct user *user = iq->user;
    struct str owner = jid_full(user->jid);
    if (!change->list.data && !change->set_standard) { /* the active list is the session's own */
        iq_result(iq);
        take_effect(user, iq->session, change);
        return;
    }
    struct commit *c = MEM_NEW(struct commit);
    struct store_txn *t = store_begin(iq->sm->store);
    c->change = *change;
    c->change.list = own(change->list);
    c->change.standard = own(change->standard);
    if (change->list.data)
        write_list(t, owner, change);
    if (change->set_standard)
        privacy_set_standard(t, owner, change->standard);
    c->iq = iq_take(iq);
    privacy_get(user)->busy = true;
    store_commit(t, on_committed, c);
}
