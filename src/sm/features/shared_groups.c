/* Shared groups (sm.shared_groups, and those of an LDAP directory): whoever is in one has all the
 * others of it as contacts, in a group of that name, subscribed both ways, without anybody's
 * asking. The items are in the roster in memory like the user's own (so presence, probes and who
 * may ask what follow by themselves) and are never written to the store; a name and groups that the
 * user gives are kept beside. They cannot be removed, and subscription stanzas between members
 * change nothing.
 *
 * "@DOMAIN" as a member is everybody who has an account there: read when the server starts, at a
 * reload, and when an account is made or goes. Versions of the roster (XEP-0237) have a mark of
 * what is shared behind their number: what the configuration does has none.
 */
#include <stdlib.h>
#include "base/mem.h"
#include "sm/change.h"
#include "sm/kept.h"
#include "sm/presence.h"
#include "sm/send.h"
#include "sm/shared_directory.h"
#include "xmpp/namespaces.h"

#define GROUPS_MAX  100u
#define MEMBERS_MAX 10000u /* of one group */

struct group {
    char *name;
    struct jid **members; /* sorted by text once complete */
    size_t count, cap;
};

struct groups {
    struct group *list;
    size_t count;
};

struct shared_state {
    struct sm *sm;
    struct groups now, next; /* what holds; what is being read */
    unsigned pending;        /* reads */
    bool everybody;          /* some group has "@DOMAIN" */
    bool again;              /* something changed while it was read */
    struct shared_directory *directory;
};

static struct shared_state *state_of(const struct sm *sm)
{
    return sm->state[FEATURE_shared_groups];
}

/* --- the groups --- */

static void groups_free(struct groups *gs)
{
    for (size_t i = 0; i < gs->count; i++) {
        for (size_t k = 0; k < gs->list[i].count; k++)
            jid_unref(gs->list[i].members[k]);
        free(gs->list[i].members);
        free(gs->list[i].name);
    }
    free(gs->list);
    *gs = (struct groups){.list = NULL};
}

static int compare(const void *a, const void *b)
{
    return str_cmp(jid_full(*(struct jid *const *)a), jid_full(*(struct jid *const *)b));
}

static void add_member(struct group *g, struct str text)
{
    struct jid *jid = g->count < MEMBERS_MAX ? jid_parse(text) : NULL;
    if (!jid || !jid->local_len || !jid_is_bare(jid)) {
        jid_unref(jid);
        return;
    }
    if (g->count == g->cap) {
        g->cap = g->cap ? 2 * g->cap : 8;
        g->members = mem_realloc(g->members, g->cap * sizeof(void *));
    }
    g->members[g->count++] = jid;
}

static bool is_member(const struct group *g, struct jid *jid)
{
    return g->count && bsearch(&jid, g->members, g->count, sizeof(void *), compare);
}

/* --- one user's roster --- */

static void push(struct user *user, const struct roster_item *item, bool removed)
{
    struct stanza *s = change_push_stanza(user, item, removed, ROSTER_NO_VERSION);
    for (struct session *session = user->sessions; session; session = session->next)
        if (session->interested)
            send_session(session, s, NULL, session->jid);
    stanza_unref(s);
}

/* An item as it was shared before. */
struct before {
    struct jid *jid;
    char *groups;
    size_t size;
};

static size_t texts_size(const struct roster_item *item)
{
    size_t size = 0;
    for (uint8_t i = 0; i < item->shared_count; i++)
        size += strlen(item->shared + size) + 1;
    return size;
}

/* Takes what is shared out of the roster and remembers it. */
static size_t strip(struct user *user, struct before *list)
{
    size_t count = 0;
    for (uint32_t i = 0; i < user->roster.count; i++) {
        struct roster_item *item = user->roster.items[i];
        if (!item->shared)
            continue;
        list[count].jid = jid_ref(item->jid);
        list[count].size = texts_size(item);
        list[count].groups = mem_alloc(list[count].size + 1);
        memcpy(list[count].groups, item->shared, list[count].size);
        roster_item_unshare(item);
        roster_set_hidden(&user->roster, item, item->own_hidden);
        count++;
    }
    return count;
}

static void share_group(struct user *user, const struct group *g)
{
    struct roster *r = &user->roster;
    uint32_t limit = (uint32_t)user->sm->c->env->config->sm_max_roster;
    for (size_t i = 0; i < g->count; i++) {
        struct jid *jid = g->members[i];
        struct roster_item *item = jid_eq(jid, user->jid) ? NULL : roster_find(r, jid_full(jid));
        if (jid_eq(jid, user->jid) || (!item && r->count - r->hidden >= limit))
            continue;
        if (!item)
            item = roster_put(r, jid);
        roster_item_share(item, str_of(g->name));
        roster_set_hidden(r, item, false);
    }
}

/* Was there, and is there no longer. */
static void tell_ended(struct user *user, struct roster_item *item)
{
    struct jid *contact = jid_ref(item->jid);
    if (!subscription_from(item->state))
        presence_send_absence(user, contact);
    push(user, item, item->hidden);
    if (!item->own)
        roster_item_destroy(roster_take(&user->roster, jid_full(contact)));
    jid_unref(contact);
}

static const struct before *was_shared(const struct before *list, size_t count,
                                       const struct jid *jid)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = str_cmp(jid_full(list[middle].jid), jid_full(jid));
        if (order == 0)
            return &list[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

/* New ones, and those whose groups changed. Others may have had the item by themselves before. */
static void tell_shared(struct user *user, const struct before *list, size_t count)
{
    for (uint32_t i = 0; i < user->roster.count; i++) {
        struct roster_item *item = user->roster.items[i];
        const struct before *b = item->shared ? was_shared(list, count, item->jid) : NULL;
        if (!item->shared ||
            (b && b->size == texts_size(item) && memcmp(b->groups, item->shared, b->size) == 0))
            continue;
        push(user, item, false);
        if (!b && !subscription_from(item->own_state))
            presence_send_all(user, item->jid);
    }
}

/* Brings the roster in memory to what the groups say now, and tells who sees it. */
static void merge(struct shared_state *ss, struct user *user)
{
    struct before *list = mem_alloc_array(user->roster.count + 1, sizeof *list);
    size_t count = strip(user, list);
    user_hold(user);
    for (size_t i = 0; i < ss->now.count; i++)
        if (is_member(&ss->now.list[i], user->jid))
            share_group(user, &ss->now.list[i]);
    tell_shared(user, list, count);
    for (size_t i = 0; i < count; i++) {
        struct roster_item *item = roster_find(&user->roster, jid_full(list[i].jid));
        if (item && !item->shared)
            tell_ended(user, item);
        jid_unref(list[i].jid);
        free(list[i].groups);
    }
    free(list);
    roster_mark_shared(&user->roster);
    user_release(user);
}

static enum path_result at_user_ready(struct path_event *e)
{
    if (state_of(e->sm)->now.count)
        merge(state_of(e->sm), e->user);
    return PATH_PASS;
}

/* --- from the configuration --- */

static void refresh(struct shared_state *ss);

/* Everything is read. */
static void adopt(struct shared_state *ss)
{
    struct user *user;
    for (size_t i = 0; i < ss->next.count; i++) /* is_member looks for halves */
        if (ss->next.list[i].count)
            qsort(ss->next.list[i].members, ss->next.list[i].count, sizeof(void *), compare);
    bool any = ss->now.count || ss->next.count;
    groups_free(&ss->now);
    ss->now = ss->next;
    ss->next = (struct groups){.list = NULL};
    for (size_t i = 0; any && (user = hash_next(&ss->sm->users, &i));)
        if (user->state == USER_READY && user->active && !user->load_failed)
            merge(ss, user);
    if (ss->again)
        refresh(ss);
}

/* A domain's accounts for one group. */
struct reading {
    struct shared_state *ss;
    size_t group;
};

static void on_accounts(void *arg, enum error e, const struct store_rows *rows)
{
    struct reading *reading = arg;
    struct shared_state *ss = reading->ss;
    struct group *g = &ss->next.list[reading->group];
    free(reading);
    if (e == ERR_CANCELLED)
        return;
    if (e)
        log_error(&ss->sm->c->log, "cannot read the accounts for the shared group %s: %s", g->name,
                  error_text(e));
    for (size_t i = 0; !e && i < store_rows_count(rows); i++)
        add_member(g, store_text(rows, i, 0));
    if (--ss->pending == 0)
        adopt(ss);
}

static void add_domain(struct shared_state *ss, size_t group, struct str domain)
{
    struct reading *reading = MEM_NEW(struct reading);
    *reading = (struct reading){ss, group};
    ss->pending++;
    ss->everybody = true;
    users_page(ss->sm->store, domain, MEMBERS_MAX, on_accounts, reading);
}

static void add_group(struct shared_state *ss, size_t i, struct str text)
{
    struct str name, member;
    str_split(&text, '=', &name);
    ss->next.list[i].name = str_dup(name);
    while (str_split(&text, ' ', &member)) {
        if (member.len > 1 && member.data[0] == '@')
            add_domain(ss, i, (struct str){member.data + 1, member.len - 1});
        else if (member.len)
            add_member(&ss->next.list[i], member);
    }
}

/* Those of the directory, behind those of the configuration. */
static void add_directory(struct shared_state *ss)
{
    struct str text = shared_directory_text(ss->directory), line, word;
    struct groups *gs = &ss->next;
    bool full = false;
    while (str_split(&text, '\n', &line)) {
        str_split(&line, ' ', &word);
        if (str_is(word, "group")) {
            full = gs->count == GROUPS_MAX;
            if (!full)
                gs->list[gs->count++].name = str_dup(line);
        } else if (str_is(word, "member") && gs->count && !full) {
            add_member(&gs->list[gs->count - 1], line);
        }
    }
}

static void refresh(struct shared_state *ss)
{
    const struct config_list *list = &ss->sm->c->env->config->sm_shared_groups;
    ss->again = ss->pending > 0;
    if (ss->again)
        return;
    ss->everybody = false;
    ss->next.count = list->count < GROUPS_MAX ? list->count : GROUPS_MAX;
    ss->next.list = mem_alloc_array(GROUPS_MAX, sizeof *ss->next.list);
    ss->pending = 1; /* until all are begun */
    for (size_t i = 0; i < ss->next.count; i++)
        add_group(ss, i, str_of(list->items[i]));
    add_directory(ss);
    if (--ss->pending == 0)
        adopt(ss);
}

/* --- when --- */

static enum path_result at_reload(struct path_event *e)
{
    refresh(state_of(e->sm));
    shared_directory_refresh(state_of(e->sm)->directory);
    return PATH_PASS;
}

/* An account is new or has gone; the other session managers do not know yet. */
static enum path_result at_account(struct path_event *e)
{
    struct shared_state *ss = state_of(e->sm);
    if (e->user->active && ss->now.count)
        merge(ss, e->user);
    if (!ss->everybody)
        return PATH_PASS;
    kept_tell(e->sm, builder_create(STR("accounts"), NS_INTERNAL));
    refresh(ss);
    return PATH_PASS;
}

/* `jackdaw user import`: {"command":"accounts-new"}. */
static json_t *control(struct sm *sm, const json_t *request)
{
    if (!str_is(str_of(json_string_value(json_object_get(request, "command"))), "accounts-new"))
        return NULL;
    if (state_of(sm)->everybody)
        refresh(state_of(sm));
    return json_pack("{s:b}", "ok", 1);
}

static enum path_result at_internal(struct path_event *e)
{
    if (!kept_told(e->packet, "accounts"))
        return PATH_PASS;
    refresh(state_of(e->sm));
    packet_destroy(e->packet);
    return PATH_DONE;
}

static void on_directory(void *arg)
{
    refresh(arg);
}

static enum path_result at_start(struct path_event *e)
{
    struct shared_state *ss = MEM_NEW(struct shared_state);
    ss->sm = e->sm;
    ss->directory = shared_directory_create(e->sm, on_directory, ss);
    e->sm->state[FEATURE_shared_groups] = ss;
    refresh(ss);
    return PATH_PASS;
}

static enum path_result at_stop(struct path_event *e)
{
    struct shared_state *ss = state_of(e->sm);
    if (!ss)
        return PATH_PASS;
    shared_directory_destroy(ss->directory);
    groups_free(&ss->now);
    groups_free(&ss->next);
    free(ss);
    e->sm->state[FEATURE_shared_groups] = NULL;
    return PATH_PASS;
}

const struct feature shared_groups_feature = {
    .name = "shared_groups",
    .control = control,
    .at = {[PATH_START] = at_start,
           [PATH_STOP] = at_stop,
           [PATH_RELOAD] = at_reload,
           [PATH_USER_READY] = at_user_ready,
           [PATH_USER_CREATED] = at_account,
           [PATH_USER_GONE] = at_account,
           [PATH_INTERNAL] = at_internal},
};
