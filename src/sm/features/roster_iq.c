/* The roster as clients ask for it and change it: RFC 6121 section 2, with versioning (2.6). */
#include <stdlib.h>
#include "base/mem.h"
#include "sm/change.h"
#include "sm/iq.h"
#include "sm/send.h"
#include "sm/subscribe.h"
#include "xmpp/namespaces.h"

/* --- loading --- */

static void on_items(void *arg, enum error e, const struct store_rows *rows)
{
    struct user *user = arg;
    if (!e)
        roster_add_rows(&user->roster, rows, user->sm->c->env->parsers);
    user_load_end(user, e);
}

static void on_groups(void *arg, enum error e, const struct store_rows *rows)
{
    struct user *user = arg;
    if (!e)
        roster_add_group_rows(&user->roster, rows);
    user_load_end(user, e);
}

static void on_version(void *arg, enum error e, const struct store_rows *rows)
{
    struct user *user = arg;
    if (!e && store_rows_count(rows) > 0) {
        user->roster.version = (uint64_t)store_int(rows, 0, 0);
        user->roster.floor = (uint64_t)store_int(rows, 0, 1);
    }
    user_load_end(user, e);
}

/* In this order: groups are added to items. */
static enum path_result at_user_load(struct path_event *e)
{
    struct user *user = e->user;
    struct str owner = jid_full(user->jid);
    user_load_begin(user);
    roster_load(e->sm->store, owner, on_items, user);
    user_load_begin(user);
    roster_load_groups(e->sm->store, owner, on_groups, user);
    user_load_begin(user);
    roster_load_version(e->sm->store, owner, on_version, user);
    return PATH_PASS;
}

/* --- get --- */

static void answer_whole(struct iq *iq)
{
    const struct roster *r = &iq->user->roster;
    char room[ROSTER_VERSION_SIZE];
    struct builder *b = iq_result_open(iq);
    builder_start(b, STR("query"), NS_ROSTER);
    builder_attr(b, STR("ver"), roster_version_write(r, r->version, room));
    for (uint32_t i = 0; i < r->count; i++)
        if (!r->items[i]->hidden)
            roster_item_write(r->items[i], false, b);
    builder_end(b);
    iq_result_send(iq, b);
}

/* What changed since the client's version: present items and tombstones, told in the order of their
 * versions (2.6.3). */
struct news {
    uint64_t version;
    const struct roster_item *item; /* NULL: removed */
    struct jid *removed;
};

static int compare_news(const void *a, const void *b)
{
    const struct news *x = a, *y = b;
    return x->version < y->version ? -1 : x->version > y->version;
}

/* A roster get that waits for the tombstones. */
struct catch_up {
    struct user *user;
    struct packet *packet;
    uint64_t since;
};

static void push_news(struct session *session, const struct news *news)
{
    struct user *user = session->user;
    struct roster_item gone = {.jid = news->removed};
    const struct roster_item *item = news->item ? news->item : &gone;
    struct stanza *push = change_push_stanza(user, item, !news->item, news->version);
    send_session(session, push, NULL, session->jid);
    stanza_unref(push);
}

static size_t collect(const struct user *user, uint64_t since, const struct store_rows *removed,
                      struct news *news)
{
    const struct roster *r = &user->roster;
    size_t count = 0;
    for (uint32_t i = 0; i < r->count; i++)
        if (!r->items[i]->hidden && r->items[i]->version > since)
            news[count++] = (struct news){.version = r->items[i]->version, .item = r->items[i]};
    for (size_t i = 0; i < store_rows_count(removed); i++) {
        struct str jid = store_text(removed, i, 0);
        uint64_t version = (uint64_t)store_int(removed, i, 1);
        const struct roster_item *again = roster_find(r, jid);
        if (version <= since || (again && !again->hidden))
            continue;
        struct jid *parsed = jid_parse(jid);
        if (parsed)
            news[count++] = (struct news){.version = version, .removed = parsed};
    }
    qsort(news, count, sizeof *news, compare_news);
    return count;
}

static void answer_news(struct catch_up *up, struct session *session,
                        const struct store_rows *removed)
{
    struct user *user = up->user;
    struct news *news =
        mem_alloc_array(user->roster.count + store_rows_count(removed) + 1, sizeof *news);
    size_t count = collect(user, up->since, removed, news);
    struct iq iq = {.sm = user->sm, .user = user, .session = session, .packet = up->packet};
    iq_result(&iq); /* empty: what follows are pushes */
    for (size_t i = 0; i < count; i++) {
        push_news(session, &news[i]);
        jid_unref(news[i].removed);
    }
    free(news);
}

static void on_removed(void *arg, enum error e, const struct store_rows *rows)
{
    struct catch_up *up = arg;
    struct session *session = session_find(up->user->sm, &up->packet->sm);
    struct iq iq = {.sm = up->user->sm, .user = up->user, .session = session, .packet = up->packet};
    if (session && !e)
        answer_news(up, session, rows);
    else if (session)
        answer_whole(&iq);
    packet_destroy(up->packet);
    user_release(up->user);
    free(up);
}

static void catch_up(struct iq *iq, uint64_t since)
{
    struct catch_up *up = MEM_NEW(struct catch_up);
    up->user = iq->user;
    up->packet = iq->packet;
    up->since = since;
    iq->packet = NULL; /* answered later */
    user_hold(up->user);
    roster_load_removed(iq->sm->store, jid_full(up->user->jid), on_removed, up);
}

/* Section 2.1.3, 2.2 */
static enum stanza_condition on_get(struct iq *iq)
{
    if (!iq->session || !iq->owner)
        return STANZA_ERR_FORBIDDEN; /* somebody else's, or nobody's */
    const struct roster *r = &iq->user->roster;
    uint64_t since;
    iq->session->interested = true;
    if (!roster_version_read(r, stanza_attr(iq->packet->stanza, iq->payload, STR("ver")), &since) ||
        since > r->version || since < r->floor)
        answer_whole(iq);
    else if (since == r->version)
        iq_result(iq); /* 2.6.3: unchanged */
    else
        catch_up(iq, since);
    return STANZA_ERR_NONE;
}

/* --- set --- */

struct wish {
    struct jid *jid;
    struct str name;
    struct str groups[ROSTER_MAX_GROUPS];
    size_t group_count;
    bool remove;
};

static enum stanza_condition read_groups(const struct stanza *s, stanza_el item, struct wish *wish)
{
    for (stanza_el el = stanza_first(s, item); el != STANZA_NONE; el = stanza_next(s, el)) {
        if (!stanza_is(s, el, STR("group"), NS_ROSTER))
            continue;
        struct str group = stanza_text(s, el);
        if (!group.len || group.len > ROSTER_MAX_TEXT || wish->group_count == ROSTER_MAX_GROUPS)
            return STANZA_ERR_NOT_ACCEPTABLE; /* 2.3.3 */
        for (size_t i = 0; i < wish->group_count; i++)
            if (str_eq(wish->groups[i], group))
                return STANZA_ERR_BAD_REQUEST; /* 2.3.3: duplicate */
        wish->groups[wish->group_count++] = group;
    }
    return STANZA_ERR_NONE;
}

/* Section 2.1.5, 2.3.3, reliability.md B 35. What else a client writes (subscription, ask,
 * approved) is ignored. */
static enum stanza_condition read_wish(const struct iq *iq, struct wish *wish)
{
    const struct stanza *s = iq->packet->stanza;
    stanza_el item = stanza_first(s, iq->payload);
    if (item == STANZA_NONE || stanza_next(s, item) != STANZA_NONE ||
        !stanza_is(s, item, STR("item"), NS_ROSTER))
        return STANZA_ERR_BAD_REQUEST;
    struct str jid = stanza_attr(s, item, STR("jid"));
    if (!jid.len)
        return STANZA_ERR_BAD_REQUEST;
    wish->name = stanza_attr(s, item, STR("name"));
    wish->remove = str_is(stanza_attr(s, item, STR("subscription")), "remove");
    if (wish->name.len > ROSTER_MAX_TEXT)
        return STANZA_ERR_NOT_ACCEPTABLE;
    enum stanza_condition condition = wish->remove ? STANZA_ERR_NONE : read_groups(s, item, wish);
    if (!condition && !(wish->jid = jid_parse(jid)))
        condition = STANZA_ERR_JID_MALFORMED;
    return condition;
}

/* Section 2.3, 2.4 */
static void save(struct iq *iq, const struct wish *wish)
{
    struct user *user = iq->user;
    struct change *c = change_begin(user, wish->jid);
    struct roster_item *item = roster_put(&user->roster, wish->jid);
    item->own = true;
    item->own_hidden = false;
    roster_set_hidden(&user->roster, item, false);
    roster_item_set_name(item, wish->name);
    roster_item_set_groups(item, wish->groups, wish->group_count);
    item->version = change_version(user);
    change_origin(c, iq->packet);
    iq->packet = NULL; /* answered when committed */
    change_push(c);
    change_commit(c);
}

static enum stanza_condition carry_out(struct iq *iq, const struct wish *wish)
{
    struct user *user = iq->user;
    struct roster_item *item = roster_find(&user->roster, jid_full(wish->jid));
    bool visible = item && !item->hidden;
    if (wish->remove) { /* 2.5 */
        if (!visible)
            return STANZA_ERR_ITEM_NOT_FOUND; /* 2.5.3 */
        if (item->shared)
            return STANZA_ERR_NOT_ALLOWED; /* the configuration says that it is there */
        subscribe_remove(user, item, iq->packet);
        iq->packet = NULL;
        return STANZA_ERR_NONE;
    }
    if (!visible &&
        user->roster.count - user->roster.hidden >= (uint32_t)iq->sm->c->env->config->sm_max_roster)
        return STANZA_ERR_RESOURCE_CONSTRAINT;
    save(iq, wish);
    return STANZA_ERR_NONE;
}

static enum stanza_condition on_set(struct iq *iq)
{
    if (!iq->session || !iq->owner)
        return STANZA_ERR_FORBIDDEN; /* 2.3.3 */
    struct wish wish = {.jid = NULL};
    enum stanza_condition condition = read_wish(iq, &wish);
    if (!condition)
        condition = carry_out(iq, &wish);
    jid_unref(wish.jid);
    return condition;
}

static const struct iq_handler iqs[] = {{&NS_ROSTER, "query", IQ_TO_ACCOUNT | IQ_GET, on_get},
                                        {&NS_ROSTER, "query", IQ_TO_ACCOUNT | IQ_SET, on_set},
                                        {NULL, NULL, 0, NULL}};
static const struct str *const features[] = {&NS_ROSTER, NULL};

const struct feature roster_iq_feature = {
    .name = "roster_iq",
    .at = {[PATH_USER_LOAD] = at_user_load},
    .iqs = iqs,
    .account_features = features,
    .server_features = features,
};
