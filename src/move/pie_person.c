/* One <user> element of XEP-0227, or a <domain/> of ours, into facts. */
#include "move/pie.h"

#include <stdlib.h>

#include "base/mem.h"
#include "xml/builder.h"
#include "xmpp/datetime.h"
#include "xmpp/namespaces.h"

enum { GROUPS_MAX = 255, NAMES_MAX = 64 };

/* A user being read. */
struct reading {
    struct person *p;
    const struct stanza *s;
    struct move_notes *notes;
    bool ours; /* our own server wrote it: it says itself whether there is an account */
};

typedef void take_fn(struct reading *r, stanza_el el);

static struct str attr(const struct reading *r, stanza_el el, const char *name)
{
    return stanza_attr(r->s, el, str_of(name));
}

static void refuse(struct reading *r, const char *what, struct str which)
{
    move_leave_out(r->notes, r->p->jid->text, "%s \"%.*s\" makes no sense; left out", what,
                   (int)(which.len > 200 ? 200 : which.len), which.data ? which.data : "");
}

/* --- what XEP-0227 names --- */

static void take_scram(struct reading *r, stanza_el el)
{
    struct stanza *own = stanza_extract(r->s, el);
    struct fact fact = {PERSON_SCRAM, NULL, own};
    struct scram_keys keys;
    if (facts_scram(&fact, &keys))
        facts_add_scram(r->p, &keys);
    else
        refuse(r, "scram-credentials", attr(r, el, "mechanism"));
    mem_wipe(&keys, sizeof keys);
    stanza_unref(own);
}

static void take_item(struct reading *r, stanza_el el)
{
    struct stanza *own = stanza_extract(r->s, el);
    struct fact fact = {PERSON_ROSTER, NULL, own};
    struct str groups[GROUPS_MAX + 1], kept[GROUPS_MAX + 1];
    struct roster_row row;
    size_t count = facts_roster(&fact, &row, groups, GROUPS_MAX + 1), n = 0;
    for (size_t i = 0; i < count; i++) {
        bool known = false;
        for (size_t k = 0; k < n; k++)
            known = known || str_eq(kept[k], groups[i]);
        if (!known)
            kept[n++] = groups[i];
    }
    /* Servers that show requests as items say so by ask='none' and no subscription of ours. */
    if (str_is(attr(r, el, "ask"), "none"))
        row.ask = 0;
    if (!str_is(attr(r, el, "subscription"), "remove") && !facts_add_roster(r->p, &row, kept, n))
        refuse(r, "roster item", row.jid);
    stanza_unref(own);
}

static void take_roster(struct reading *r, stanza_el el)
{
    for (stanza_el i = stanza_first(r->s, el); i != STANZA_NONE; i = stanza_next(r->s, i))
        if (stanza_is(r->s, i, STR("item"), NS_ROSTER))
            take_item(r, i);
}

static void take_presence(struct reading *r, stanza_el el)
{
    struct str from = attr(r, el, "from");
    if (!str_is(attr(r, el, "type"), "subscribe"))
        return;
    struct stanza *own = stanza_extract(r->s, el);
    if (!facts_add_request(r->p, from, own))
        refuse(r, "subscription request from", from);
    stanza_unref(own);
}

static void take_vcard(struct reading *r, stanza_el el)
{
    struct stanza *card = stanza_extract(r->s, el);
    if (stanza_first(card, STANZA_ROOT) != STANZA_NONE)
        facts_add_vcard(r->p, card);
    else
        stanza_unref(card);
}

static void take_private(struct reading *r, stanza_el el)
{
    for (stanza_el i = stanza_first(r->s, el); i != STANZA_NONE; i = stanza_next(r->s, i))
        if (stanza_child(r->s, el, stanza_name(r->s, i), stanza_ns(r->s, i)) == i)
            facts_add_private(r->p, r->s, i);
}

static void take_list(struct reading *r, stanza_el el)
{
    struct stanza *own = stanza_extract(r->s, el);
    struct fact fact = {PERSON_PRIVACY, NULL, own};
    size_t count;
    struct privacy_row *items = facts_privacy(&fact, &count);
    if (count != stanza_children(own, STANZA_ROOT) ||
        !facts_add_privacy(r->p, attr(r, el, "name"), items, count))
        refuse(r, "privacy list", attr(r, el, "name"));
    free(items);
    stanza_unref(own);
}

static void take_privacy(struct reading *r, stanza_el el)
{
    for (stanza_el i = stanza_first(r->s, el); i != STANZA_NONE; i = stanza_next(r->s, i)) {
        struct str name = attr(r, i, "name");
        if (stanza_is(r->s, i, STR("list"), NS_PRIVACY))
            take_list(r, i);
        else if (stanza_is(r->s, i, STR("default"), NS_PRIVACY) && name.len)
            facts_add_privacy_default(r->p, name);
    }
}

/* Messages in their order; before each of ours its place. */
static void take_messages(struct reading *r, stanza_el el)
{
    uint64_t id = 0;
    for (stanza_el i = stanza_first(r->s, el); i != STANZA_NONE; i = stanza_next(r->s, i)) {
        if (stanza_is(r->s, i, STR("queue-id"), NS_JACKDAW_PIE)) {
            (void)str_to_u64(stanza_text(r->s, i), INT64_MAX, &id);
        } else if (stanza_is(r->s, i, STR("message"), NS_CLIENT)) {
            struct stanza *message = stanza_extract(r->s, i);
            if (id)
                facts_add_queued(r->p, id, message);
            else
                facts_add_message(r->p, message);
            id = 0;
        } else {
            refuse(r, "offline message", stanza_name(r->s, i));
        }
    }
}

/* --- what is ours --- */

static int64_t time_of(const struct reading *r, stanza_el el, const char *name)
{
    int64_t time = -1;
    (void)datetime_parse(attr(r, el, name), &time);
    return time;
}

static void take_account(struct reading *r, stanza_el el)
{
    r->ours = true;
    facts_add_account(r->p, time_of(r, el, "created"), str_is(attr(r, el, "disabled"), "true"));
}

static void take_stored_password(struct reading *r, stanza_el el)
{
    facts_add_stored_password(r->p, stanza_text(r->s, el));
}

static void take_active(struct reading *r, stanza_el el)
{
    r->ours = true;
    facts_add_active(r->p, time_of(r, el, "since"));
}

static void take_last(struct reading *r, stanza_el el)
{
    if (time_of(r, el, "stamp") > 0)
        facts_add_last(r->p, time_of(r, el, "stamp"), stanza_text(r->s, el));
}

static void take_motd(struct reading *r, stanza_el el)
{
    stanza_el first = stanza_first(r->s, el);
    if (first == STANZA_NONE || !stanza_is(r->s, first, STR("message"), NS_CLIENT)) {
        refuse(r, "message of the day", stanza_text(r->s, el));
        return;
    }
    struct stanza *message = stanza_extract(r->s, first);
    facts_add_motd(r->p, message, time_of(r, el, "time"));
    stanza_unref(message);
}

static void take_motd_seen(struct reading *r, stanza_el el)
{
    facts_add_motd_seen(r->p, time_of(r, el, "time"));
}

static void take_row(struct reading *r, stanza_el el)
{
    struct stanza *own = stanza_extract(r->s, el);
    struct fact fact = {PERSON_STATUS, NULL, own};
    struct str name = stanza_name(own, STANZA_ROOT);
    struct vacation_row vacation;
    struct disco_row item;
    struct status_row status;
    struct verify_row verify;
    struct published_row published;
    if (str_eq(stanza_ns(own, STANZA_ROOT), NS_VACATION)) {
        facts_vacation(&fact, &vacation);
        if (vacation.message.len)
            facts_add_vacation(r->p, &vacation);
    } else if (str_is(name, "query")) {
        facts_disco(&fact, &item);
        if (!facts_add_disco(r->p, &item))
            refuse(r, "published item", item.jid);
    } else if (str_is(name, "status")) {
        facts_status(&fact, &status);
        facts_add_status(r->p, &status);
    } else if (str_is(name, "verify")) {
        facts_verify(&fact, &verify);
        facts_add_verify(r->p, &verify);
    } else if (str_is(name, "published-roster")) {
        facts_published(&fact, &published);
        facts_add_published(r->p, &published);
    } else {
        facts_add_published_group(r->p, facts_attr(&fact, "groupname"));
    }
    stanza_unref(own);
}

#define OF_USER   1u
#define OF_DOMAIN 2u

static const struct {
    const char *name;
    const struct str *ns;
    take_fn *take;
    unsigned of;
} elements[] = {
    {"scram-credentials", &NS_PIE_SCRAM, take_scram, OF_USER},
    {"query", &NS_ROSTER, take_roster, OF_USER},
    {"presence", &NS_CLIENT, take_presence, OF_USER},
    {"vCard", &NS_VCARD, take_vcard, OF_USER | OF_DOMAIN},
    {"query", &NS_PRIVATE, take_private, OF_USER},
    {"query", &NS_PRIVACY, take_privacy, OF_USER},
    {"offline-messages", &NS_PIE, take_messages, OF_USER},
    {"account", &NS_JACKDAW_PIE, take_account, OF_USER},
    {"stored-password", &NS_JACKDAW_PIE, take_stored_password, OF_USER},
    {"active", &NS_JACKDAW_PIE, take_active, OF_USER},
    {"last", &NS_JACKDAW_PIE, take_last, OF_USER},
    {"motd", &NS_JACKDAW_PIE, take_motd, OF_DOMAIN},
    {"motd-seen", &NS_JACKDAW_PIE, take_motd_seen, OF_USER},
    {"query", &NS_VACATION, take_row, OF_USER},
    {"query", &NS_DISCO_ITEMS, take_row, OF_USER},
    {"status", &NS_JACKDAW_PIE, take_row, OF_USER},
    {"verify", &NS_JACKDAW_PIE, take_row, OF_USER},
    {"published-roster", &NS_JACKDAW_PIE, take_row, OF_USER | OF_DOMAIN},
    {"published-roster-groups", &NS_JACKDAW_PIE, take_row, OF_USER | OF_DOMAIN},
};

static bool take_element(struct reading *r, stanza_el el)
{
    unsigned of = r->p->jid->local_len ? OF_USER : OF_DOMAIN;
    for (size_t i = 0; i < sizeof elements / sizeof *elements; i++)
        if ((elements[i].of & of) &&
            stanza_is(r->s, el, str_of(elements[i].name), *elements[i].ns)) {
            elements[i].take(r, el);
            return true;
        }
    return false;
}

/* `name` of a domain: data == NULL. */
static struct jid *user_jid(struct str name, struct str host)
{
    char local[1024], domain[1024];
    size_t local_len, domain_len;
    if (!jid_prepare_domain(host, domain, &domain_len))
        return NULL;
    if (!name.data)
        return jid_from_parts(STR_NULL, (struct str){domain, domain_len}, STR_NULL);
    if (!jid_prepare_local(name, local, &local_len) || !local_len)
        return NULL;
    return jid_from_parts((struct str){local, local_len}, (struct str){domain, domain_len},
                          STR_NULL);
}

struct person *pie_person(const struct stanza *user, struct str host, struct move_notes *notes)
{
    bool is_domain = stanza_is(user, STANZA_ROOT, STR("domain"), NS_JACKDAW_PIE);
    struct str name = stanza_attr(user, STANZA_ROOT, STR("name"));
    struct str password = stanza_attr(user, STANZA_ROOT, STR("password"));
    struct jid *jid = is_domain || name.data ? user_jid(is_domain ? STR_NULL : name, host) : NULL;
    if (!jid) {
        move_leave_out(notes, NULL,
                       "the user \"%.*s\" of \"%.*s\" has no name that may be one; "
                       "left out",
                       (int)(name.len > 200 ? 200 : name.len), name.data ? name.data : "",
                       (int)(host.len > 200 ? 200 : host.len), host.data ? host.data : "");
        return NULL;
    }
    struct reading r = {.p = person_create(jid), .s = user, .notes = notes};
    if (password.len && !is_domain)
        r.p->password = str_dup(password);
    for (stanza_el el = stanza_first(user, STANZA_ROOT); el != STANZA_NONE;
         el = stanza_next(user, el))
        if (!take_element(&r, el))
            move_leave_out(notes, jid->text, "<%.*s xmlns='%.*s'> has no place here; left out",
                           STR_ARG(stanza_name(user, el)), STR_ARG(stanza_ns(user, el)));
    if (!r.ours && !is_domain)
        facts_add_account(r.p, -1, false);
    return r.p;
}
