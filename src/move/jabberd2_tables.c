/* What stands in each of jabberd2's tables; jabberd2.md section 2. */
#include "move/jabberd2_impl.h"

#include <stdlib.h>

#include "base/mem.h"
#include "xml/builder.h"
#include "xmpp/datetime.h"
#include "xmpp/namespaces.h"

static struct str at(const struct jabberd2_rows *rows, size_t row, size_t column)
{
    return rows->values[row * rows->columns + column];
}

static int64_t number(struct str text)
{
    uint64_t n = 0;
    (void)str_to_u64(text, INT64_MAX, &n); /* below 0 and no number at all are 0 */
    return (int64_t)n;
}

static int64_t number_at(const struct jabberd2_rows *rows, size_t row, size_t column)
{
    return number(at(rows, row, column));
}

/* SQLite says 1, PostgreSQL t, and what converters wrote is anything else. */
static bool truth(const struct jabberd2_rows *rows, size_t row, size_t column)
{
    struct str v = at(rows, row, column);
    return v.len && (*v.data == 't' || *v.data == 'T' || *v.data == 'y' || number(v) != 0);
}

static void leave_out(struct jabberd2 *j, const struct person *p, struct str what, const char *why)
{
    j->table->left_out++;
    move_leave_out(j->notes, p->jid->text, "table %s: \"%.*s\" %s; left out", j->table->name,
                   (int)(what.len > 200 ? 200 : what.len), what.data ? what.data : "", why);
}

/* --- XML that jabberd2 stored: "NAD", then the packet with the route around it --- */

static const struct str session_ns = {"http://jabberd.jabberstudio.org/ns/session/1.0", 46};

/* The stanza in it; *ret_whole is what holds it. STANZA_NONE: no such thing. */
static stanza_el stanza_in(const struct jabberd2 *j, struct str text, struct stanza **ret_whole)
{
    if (str_starts(text, STR("NAD")))
        text = (struct str){text.data + 3, text.len - 3};
    struct stanza *whole = *ret_whole = person_parse(j->o.parsers, text);
    if (!whole)
        return STANZA_NONE;
    bool routed = str_is(stanza_name(whole, STANZA_ROOT), "route");
    return routed ? stanza_first(whole, STANZA_ROOT) : STANZA_ROOT;
}

/* A copy without what the components of jabberd2 wrote for each other, and without one attribute.
 */
static struct builder *copy_root(const struct stanza *s, stanza_el el, const char *without)
{
    struct builder *b = builder_create(stanza_name(s, el), NS_CLIENT);
    for (uint32_t i = 0; i < stanza_attr_count(s, el); i++) {
        struct str name, ns, value;
        stanza_attr_at(s, el, i, &name, &ns, &value);
        if (ns.len && !str_eq(ns, session_ns))
            builder_attr_ns(b, name, ns, value);
        else if (!ns.len && !str_is(name, without))
            builder_attr(b, name, value);
    }
    return b;
}

/* --- accounts --- */

void jabberd2_take_active(struct jabberd2 *j, struct person *p, const struct jabberd2_rows *rows)
{
    facts_add_active(p, number_at(rows, rows->count - 1, 0));
}

void jabberd2_take_authreg(struct jabberd2 *j, struct person *p, const struct jabberd2_rows *rows)
{
    enum { USERNAME, REALM, PASSWORD };
    size_t last = rows->count - 1;
    struct str password = at(rows, last, PASSWORD);
    enum old_password kind =
        j->o.passwords < 0 ? old_password_guess(password) : (enum old_password)j->o.passwords;
    struct buffer stored;
    const struct fact *active = person_first(p, PERSON_ACTIVE);
    facts_add_account(p, active ? facts_time(active, STR("since")) : -1, false);
    j->table->left_out += last;
    if (!password.len) {
        move_leave_out(j->notes, p->jid->text,
                       "there is no password; give the account one with `jackdaw user passwd`");
        return;
    }
    j->passwords[kind]++;
    buffer_init(&stored, 8192);
    if (kind == OLD_PASSWORD_PLAIN)
        p->password = str_dup(password);
    else if (old_password_write(kind, password, at(rows, last, USERNAME), at(rows, last, REALM),
                                &stored))
        facts_add_stored_password(p, buffer_str(&stored));
    buffer_finish(&stored);
}

void jabberd2_take_logout(struct jabberd2 *j, struct person *p, const struct jabberd2_rows *rows)
{
    int64_t time = number_at(rows, rows->count - 1, 0);
    if (time > 0)
        facts_add_last(p, time, STR_NULL);
}

/* --- roster --- */

void jabberd2_take_groups(struct jabberd2 *j, struct person *p, const struct jabberd2_rows *rows)
{
    size_t size = rows->count * rows->columns * sizeof *rows->values;
    j->groups = *rows;
    j->groups.values = mem_alloc(size);
    memcpy(j->groups.values, rows->values, size);
}

static void add_item(struct jabberd2 *j, struct person *p, const struct jabberd2_rows *rows,
                     size_t row, struct str *groups)
{
    enum { JID, NAME, TO, FROM, ASK };
    size_t count = 0;
    struct roster_row item = {.jid = at(rows, row, JID),
                              .name = at(rows, row, NAME),
                              .to = truth(rows, row, TO),
                              .from = truth(rows, row, FROM),
                              .ask = number_at(rows, row, ASK) == 1};
    for (size_t i = 0; i < j->groups.count; i++) {
        struct str group = at(&j->groups, i, 1);
        bool known = false;
        if (!str_eq(at(&j->groups, i, 0), item.jid) || !group.len)
            continue;
        for (size_t k = 0; k < count; k++)
            known = known || str_eq(groups[k], group);
        if (!known)
            groups[count++] = group;
    }
    if (!facts_add_roster(p, &item, groups, count))
        leave_out(j, p, item.jid, "is no JID, or its name or number of groups is too large");
}

void jabberd2_take_items(struct jabberd2 *j, struct person *p, const struct jabberd2_rows *rows)
{
    struct str *groups = mem_alloc_array(j->groups.count + 1, sizeof *groups);
    for (size_t i = 0; i < rows->count; i++)
        add_item(j, p, rows, i, groups);
    free(groups);
}

/* --- what a client keeps --- */

/* Columns of one element stand side by side in vcard.def. */
void jabberd2_take_vcard(struct jabberd2 *j, struct person *p, const struct jabberd2_rows *rows)
{
    static const char *const elements[][2] = {
#define X(id, column, element, inner) {element, inner},
#include "store/vcard.def"
#undef X
    };
    struct builder *b = builder_create(STR("vCard"), NS_VCARD);
    const char *open = NULL;
    for (size_t i = 0; i < VCARD_COLUMNS; i++) {
        struct str value = at(rows, rows->count - 1, i);
        if (!value.len)
            continue;
        if (open && strcmp(open, elements[i][0]) != 0) {
            builder_end(b);
            open = NULL;
        }
        if (!elements[i][1]) {
            builder_leaf(b, str_of(elements[i][0]), STR_NULL, value);
            continue;
        }
        if (!open)
            builder_start(b, str_of(elements[i][0]), STR_NULL);
        open = elements[i][0];
        builder_leaf(b, str_of(elements[i][1]), STR_NULL, value);
    }
    if (open)
        builder_end(b);
    struct stanza *card = builder_finish(b);
    j->table->left_out += rows->count - 1;
    if (stanza_first(card, STANZA_ROOT) != STANZA_NONE)
        facts_add_vcard(p, card);
    else
        stanza_unref(card);
}

static bool add_private(const struct jabberd2 *j, struct person *p, struct str xml)
{
    struct stanza *whole;
    stanza_el iq = stanza_in(j, xml, &whole);
    stanza_el query =
        iq == STANZA_NONE ? STANZA_NONE : stanza_child(whole, iq, STR("query"), NS_PRIVATE);
    bool any = false;
    if (query != STANZA_NONE)
        for (stanza_el el = stanza_first(whole, query); el != STANZA_NONE;
             el = stanza_next(whole, el)) {
            bool first =
                stanza_child(whole, query, stanza_name(whole, el), stanza_ns(whole, el)) == el;
            any = (first && facts_add_private(p, whole, el)) || any;
        }
    stanza_unref(whole);
    return any;
}

void jabberd2_take_private(struct jabberd2 *j, struct person *p, const struct jabberd2_rows *rows)
{
    for (size_t i = 0; i < rows->count; i++)
        if (!add_private(j, p, at(rows, i, 1)))
            leave_out(j, p, at(rows, i, 0), "holds nothing that can be read");
}

/* --- privacy lists --- */

static int by_list(const void *a, const void *b)
{
    return str_cmp(((const struct privacy_row *)a)->list, ((const struct privacy_row *)b)->list);
}

void jabberd2_take_privacy(struct jabberd2 *j, struct person *p, const struct jabberd2_rows *rows)
{
    enum { LIST, TYPE, VALUE, DENY, ORDER, BLOCK };
    struct privacy_row *items = mem_alloc_array(rows->count + 1, sizeof *items);
    size_t from = 0;
    for (size_t i = 0; i < rows->count; i++) {
        struct str type = at(rows, i, TYPE);
        items[i] = (struct privacy_row){.list = at(rows, i, LIST),
                                        .type = type.len ? type : STR_NULL,
                                        .value = type.len ? at(rows, i, VALUE) : STR_NULL,
                                        .deny = truth(rows, i, DENY),
                                        .order = (uint32_t)number_at(rows, i, ORDER),
                                        .block = (uint8_t)(number_at(rows, i, BLOCK) & 15)};
    }
    qsort(items, rows->count, sizeof *items, by_list);
    for (size_t i = 0; i < rows->count; i++) {
        if (i + 1 < rows->count && str_eq(items[i + 1].list, items[from].list))
            continue;
        struct str list = items[from].list;
        if (!facts_add_privacy(p, list, items + from, i + 1 - from)) {
            j->table->left_out += i - from;
            leave_out(j, p, list, "is a privacy list with an item that makes no sense");
        }
        from = i + 1;
    }
    free(items);
}

void jabberd2_take_privacy_default(struct jabberd2 *j, struct person *p,
                                   const struct jabberd2_rows *rows)
{
    struct str list = at(rows, rows->count - 1, 0);
    bool there = false;
    for (size_t i = 0; i < p->count; i++)
        there =
            there || (p->facts[i].kind == PERSON_PRIVACY && str_eq(str_of(p->facts[i].key), list));
    if (there)
        facts_add_privacy_default(p, list);
    else if (list.len &&
             !str_is(list, "urn:xmpp:blocking")) /* which stays when all are unblocked */
        leave_out(j, p, list, "is no privacy list of the user and cannot be the default");
}

/* --- small tables --- */

/* An end of 0 is none: the vacation lasts. */
void jabberd2_take_vacation(struct jabberd2 *j, struct person *p, const struct jabberd2_rows *rows)
{
    enum { START, END, MESSAGE };
    size_t last = rows->count - 1;
    struct vacation_row vacation = {number_at(rows, last, START), number_at(rows, last, END),
                                    at(rows, last, MESSAGE)};
    if (vacation.message.len)
        facts_add_vacation(p, &vacation);
    else
        leave_out(j, p, STR("vacation"), "has no message");
}

void jabberd2_take_disco(struct jabberd2 *j, struct person *p, const struct jabberd2_rows *rows)
{
    enum { JID, NAME, NODE };
    for (size_t i = 0; i < rows->count; i++) {
        struct disco_row item = {.parent = STR(""),
                                 .jid = at(rows, i, JID),
                                 .name = at(rows, i, NAME),
                                 .node = at(rows, i, NODE)};
        if (!facts_add_disco(p, &item))
            leave_out(j, p, item.jid, "is no JID");
    }
}

void jabberd2_take_status(struct jabberd2 *j, struct person *p, const struct jabberd2_rows *rows)
{
    enum { STATUS, SHOW, LOGIN, LOGOUT, XML };
    size_t last = rows->count - 1;
    struct stanza *whole;
    stanza_el el = stanza_in(j, at(rows, last, XML), &whole);
    struct str xml = STR_NULL;
    if (el != STANZA_NONE) {
        struct builder *b = copy_root(whole, el, NULL);
        builder_copy_inner(b, whole, el);
        struct stanza *presence = builder_finish(b);
        xml = facts_whole(presence);
        stanza_unref(presence);
    }
    struct str status = at(rows, last, STATUS);
    struct status_row row = {.status = status.data ? status : STR("offline"),
                             .show = at(rows, last, SHOW),
                             .login = number_at(rows, last, LOGIN),
                             .logout = number_at(rows, last, LOGOUT),
                             .xml = xml};
    facts_add_status(p, &row);
    free((char *)(uintptr_t)xml.data);
    stanza_unref(whole);
}

void jabberd2_take_verify(struct jabberd2 *j, struct person *p, const struct jabberd2_rows *rows)
{
    for (size_t i = 0; i < rows->count; i++)
        facts_add_verify(p, &(struct verify_row){.email = at(rows, i, 0),
                                                 .code = at(rows, i, 1),
                                                 .state = number_at(rows, i, 2)});
}

void jabberd2_take_published(struct jabberd2 *j, struct person *p, const struct jabberd2_rows *rows)
{
    enum { JID, GROUP, NAME, TO, FROM, ASK };
    for (size_t i = 0; i < rows->count; i++) {
        struct str group = at(rows, i, GROUP);
        struct published_row row = {.jid = at(rows, i, JID),
                                    .group = group.data ? group : STR(""),
                                    .name = at(rows, i, NAME),
                                    .to = truth(rows, i, TO),
                                    .from = truth(rows, i, FROM),
                                    .ask = (int)number_at(rows, i, ASK)};
        if (!facts_add_published(p, &row))
            leave_out(j, p, row.jid, "is too long");
    }
}

void jabberd2_take_published_groups(struct jabberd2 *j, struct person *p,
                                    const struct jabberd2_rows *rows)
{
    for (size_t i = 0; i < rows->count; i++)
        facts_add_published_group(p, at(rows, i, 0));
}

/* --- messages --- */

/* The time of the stamp is the one that motd-times has for who has seen it. */
void jabberd2_take_motd(struct jabberd2 *j, struct person *p, const struct jabberd2_rows *rows)
{
    struct stanza *whole;
    stanza_el el = stanza_in(j, at(rows, rows->count - 1, 0), &whole);
    int64_t time = 0;
    if (el == STANZA_NONE) {
        leave_out(j, p, STR("the message of the day"), "cannot be read");
        stanza_unref(whole);
        return;
    }
    struct builder *b = builder_create(STR("message"), NS_CLIENT);
    builder_attr(b, STR("type"), STR("headline"));
    builder_attr(b, STR("from"), jid_domain(p->jid));
    for (stanza_el c = stanza_first(whole, el); c != STANZA_NONE; c = stanza_next(whole, c)) {
        if (stanza_is(whole, c, STR("delay"), NS_DELAY))
            (void)datetime_parse(stanza_attr(whole, c, STR("stamp")), &time);
        else
            builder_copy(b, whole, c);
    }
    struct stanza *message = builder_finish(b);
    facts_add_motd(p, message, time);
    stanza_unref(message);
    stanza_unref(whole);
}

void jabberd2_take_motd_times(struct jabberd2 *j, struct person *p,
                              const struct jabberd2_rows *rows)
{
    facts_add_motd_seen(p, number_at(rows, rows->count - 1, 0));
}

/* Messages; and what was asked or answered about subscriptions, of which the answers are in the
 * roster already. */
static void add_queued(struct jabberd2 *j, struct person *p, struct str xml)
{
    struct stanza *whole;
    stanza_el el = stanza_in(j, xml, &whole);
    struct str name = el == STANZA_NONE ? STR_NULL : stanza_name(whole, el);
    bool message = str_is(name, "message");
    if (message || str_is(name, "presence")) {
        struct builder *b = copy_root(whole, el, NULL);
        builder_copy_inner(b, whole, el);
        struct stanza *s = builder_finish(b);
        struct str type = stanza_attr(s, STANZA_ROOT, STR("type"));
        if (message)
            facts_add_message(p, stanza_ref(s));
        else if (!str_is(type, "subscribe"))
            j->table->left_out++;
        else if (!facts_add_request(p, stanza_attr(s, STANZA_ROOT, STR("from")), s))
            leave_out(j, p, STR("a subscription request"), "comes from no JID");
        stanza_unref(s);
    } else {
        leave_out(j, p, xml, "is neither a message nor presence");
    }
    stanza_unref(whole);
}

void jabberd2_take_queue(struct jabberd2 *j, struct person *p, const struct jabberd2_rows *rows)
{
    for (size_t i = 0; i < rows->count; i++)
        add_queued(j, p, at(rows, i, 0));
}

/* --- all of a person --- */

void jabberd2_settle(struct jabberd2 *j, struct person *p)
{
    for (size_t i = 0; i < j->groups.count; i++) {
        struct str jid = at(&j->groups, i, 0);
        bool there = false;
        for (size_t k = 0; k < p->count && !there; k++)
            there =
                p->facts[k].kind == PERSON_ROSTER && str_eq(facts_attr(&p->facts[k], "jid"), jid);
        j->groups_left_out += !there;
    }
    free(j->groups.values);
    j->groups = (struct jabberd2_rows){0};
}
