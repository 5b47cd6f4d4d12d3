/* Values into elements: one function for each kind. */
#include "move/facts.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "xml/builder.h"
#include "xmpp/datetime.h"
#include "xmpp/namespaces.h"
#include "xmpp/sasl.h"

enum { GROUPS_MAX = 255, TEXT_MAX = 1023 /* of names, groups and lists: as the session manager */ };

static bool add(struct person *p, enum person_kind kind, struct str key, struct builder *b)
{
    return person_add(p, kind, key, builder_finish(b));
}

static void time_attr(struct builder *b, struct str name, int64_t seconds)
{
    char text[DATETIME_LEN];
    if (seconds < 0)
        return;
    datetime_write(seconds > DATETIME_MAX ? DATETIME_MAX : seconds, text);
    builder_attr(b, name, (struct str){text, sizeof text});
}

static void time_leaf(struct builder *b, struct str name, int64_t seconds)
{
    char text[DATETIME_LEN];
    datetime_write(seconds < 0 ? 0 : seconds > DATETIME_MAX ? DATETIME_MAX : seconds, text);
    builder_leaf(b, name, STR_NULL, (struct str){text, sizeof text});
}

/* --- accounts --- */

bool facts_add_account(struct person *p, int64_t created, bool disabled)
{
    struct builder *b = builder_create(STR("account"), NS_JACKDAW_PIE);
    time_attr(b, STR("created"), created);
    if (disabled)
        builder_attr(b, STR("disabled"), STR("true"));
    return add(p, PERSON_ACCOUNT, STR(""), b);
}

bool facts_add_stored_password(struct person *p, struct str value)
{
    struct builder *b = builder_create(STR("stored-password"), NS_JACKDAW_PIE);
    builder_text(b, value);
    return add(p, PERSON_STORED_PASSWORD, STR(""), b);
}

static void base64_leaf(struct builder *b, struct str name, const unsigned char *bytes, size_t len)
{
    struct buffer text;
    buffer_init(&text, 1024);
    sasl_base64_encode((struct str){(const char *)bytes, len}, &text);
    builder_leaf(b, name, STR_NULL, buffer_str(&text));
    if (buffer_len(&text))
        mem_wipe(text.data + text.start, buffer_len(&text));
    buffer_finish(&text);
}

/* XEP-0227 section "SCRAM credentials" */
bool facts_add_scram(struct person *p, const struct scram_keys *keys)
{
    struct str mechanism = str_of(scram_hash_name(keys->hash));
    struct builder *b = builder_create(STR("scram-credentials"), NS_PIE_SCRAM);
    size_t size = scram_hash_size(keys->hash);
    char count[16];
    int len = snprintf(count, sizeof count, "%u", keys->iterations);
    builder_attr(b, STR("mechanism"), mechanism);
    builder_leaf(b, STR("iter-count"), STR_NULL, (struct str){count, (size_t)len});
    base64_leaf(b, STR("salt"), keys->salt, keys->salt_len);
    base64_leaf(b, STR("server-key"), keys->server_key, size);
    base64_leaf(b, STR("stored-key"), keys->stored_key, size);
    return add(p, PERSON_SCRAM, mechanism, b);
}

bool facts_add_active(struct person *p, int64_t since)
{
    struct builder *b = builder_create(STR("active"), NS_JACKDAW_PIE);
    time_attr(b, STR("since"), since);
    return add(p, PERSON_ACTIVE, STR(""), b);
}

bool facts_add_last(struct person *p, int64_t time, struct str status)
{
    struct builder *b = builder_create(STR("last"), NS_JACKDAW_PIE);
    time_attr(b, STR("stamp"), time < 0 ? 0 : time);
    if (status.len)
        builder_text(b, status);
    return add(p, PERSON_LAST, STR(""), b);
}

/* --- contacts --- */

static struct jid *contact(const struct person *p, struct str text)
{
    struct jid *jid = jid_parse(text), *bare = jid ? jid_to_bare(jid) : NULL;
    jid_unref(jid);
    if (bare && str_eq(jid_bare(bare), jid_bare(p->jid))) { /* nobody is a contact of itself */
        jid_unref(bare);
        return NULL;
    }
    return bare;
}

bool facts_add_roster(struct person *p, const struct roster_row *row, const struct str *groups,
                      size_t group_count)
{
    struct jid *jid = jid_parse(row->jid);
    if (!jid || row->name.len > TEXT_MAX || group_count > GROUPS_MAX) {
        jid_unref(jid);
        return false;
    }
    struct builder *b = builder_create(STR("item"), NS_ROSTER);
    builder_attr(b, STR("jid"), jid_full(jid));
    if (row->name.len)
        builder_attr(b, STR("name"), row->name);
    builder_attr(b, STR("subscription"),
                 row->to && row->from ? STR("both")
                 : row->to            ? STR("to")
                 : row->from          ? STR("from")
                                      : STR("none"));
    if (row->ask && !row->to)
        builder_attr(b, STR("ask"), STR("subscribe"));
    if (row->approved && !row->from)
        builder_attr(b, STR("approved"), STR("true"));
    for (size_t i = 0; i < group_count; i++)
        if (groups[i].len && groups[i].len <= TEXT_MAX)
            builder_leaf(b, STR("group"), STR_NULL, groups[i]);
    bool ok = add(p, PERSON_ROSTER, jid_full(jid), b);
    jid_unref(jid);
    return ok;
}

/* XEP-0227 section "Incoming Subscription Requests". Stamped by the server, so bare. */
bool facts_add_request(struct person *p, struct str from, const struct stanza *presence)
{
    struct jid *jid = contact(p, from);
    if (!jid)
        return false;
    struct builder *b = builder_create(STR("presence"), NS_CLIENT);
    builder_attr(b, STR("from"), jid_bare(jid));
    builder_attr(b, STR("to"), jid_bare(p->jid));
    if (presence)
        builder_attr(b, STR("id"), stanza_attr(presence, STANZA_ROOT, STR("id")));
    builder_attr(b, STR("type"), STR("subscribe"));
    if (presence && stanza_lang(presence, STANZA_ROOT).data)
        builder_lang(b, stanza_lang(presence, STANZA_ROOT));
    if (presence)
        builder_copy_inner(b, presence, STANZA_ROOT);
    bool ok = add(p, PERSON_REQUEST, jid_bare(jid), b);
    jid_unref(jid);
    return ok;
}

/* --- what a client keeps --- */

bool facts_add_vcard(struct person *p, struct stanza *card)
{
    return person_add(p, PERSON_VCARD, STR(""), card);
}

bool facts_add_private(struct person *p, const struct stanza *s, stanza_el el)
{
    struct str name = stanza_name(s, el), ns = stanza_ns(s, el);
    struct builder *b = builder_create(STR("query"), NS_PRIVATE);
    struct buffer key;
    for (stanza_el e = el; e != STANZA_NONE; e = stanza_next(s, e))
        if (stanza_is(s, e, name, ns))
            builder_copy(b, s, e);
    buffer_init(&key, 1u << 20);
    buffer_add_str(&key, ns);
    buffer_add_char(&key, '\n');
    bool fits = buffer_add_str(&key, name), ok = false;
    if (fits)
        ok = add(p, PERSON_PRIVATE, buffer_str(&key), b);
    else
        builder_destroy(b);
    buffer_finish(&key);
    return ok;
}

/* --- privacy lists --- */

const char *const facts_privacy_kinds[FACTS_PRIVACY_KINDS] = {"message", "presence-in",
                                                              "presence-out", "iq"};

static bool is_subscription(struct str v)
{
    return str_is(v, "both") || str_is(v, "to") || str_is(v, "from") || str_is(v, "none");
}

/* XEP-0016 section 2.1; the value as it is compared. NULL in *ret_jid when it is no JID. */
static bool usable(const struct privacy_row *row, struct jid **ret_jid)
{
    *ret_jid = NULL;
    if (!row->type.len)
        return true;
    if (str_is(row->type, "jid"))
        return (*ret_jid = jid_parse(row->value)) != NULL;
    if (str_is(row->type, "group"))
        return row->value.len && row->value.len <= TEXT_MAX;
    return str_is(row->type, "subscription") && is_subscription(row->value);
}

static bool add_privacy_item(struct builder *b, const struct privacy_row *row, uint32_t order)
{
    struct jid *jid;
    if (!usable(row, &jid))
        return false;
    builder_start(b, STR("item"), STR_NULL);
    if (row->type.len) {
        builder_attr(b, STR("type"), row->type);
        builder_attr(b, STR("value"), jid ? jid_full(jid) : row->value);
    }
    builder_attr(b, STR("action"), row->deny ? STR("deny") : STR("allow"));
    builder_attr_u64(b, STR("order"), order);
    for (size_t i = 0; i < FACTS_PRIVACY_KINDS; i++)
        if (row->block & (1u << i))
            builder_leaf(b, str_of(facts_privacy_kinds[i]), STR_NULL, STR_NULL);
    builder_end(b);
    jid_unref(jid);
    return true;
}

static int by_order(const void *a, const void *b)
{
    const struct privacy_row *x = a, *y = b;
    return (x->order > y->order) - (x->order < y->order);
}

bool facts_add_privacy(struct person *p, struct str list, struct privacy_row *items, size_t count)
{
    if (!list.len || list.len > TEXT_MAX || !count)
        return false;
    struct builder *b = builder_create(STR("list"), NS_PRIVACY);
    int64_t last = -1;
    bool ok = true;
    builder_attr(b, STR("name"), list);
    qsort(items, count, sizeof *items, by_order);
    for (size_t i = 0; i < count && ok; i++) {
        last = items[i].order > last ? items[i].order : last + 1;
        ok = last <= UINT32_MAX && add_privacy_item(b, &items[i], (uint32_t)last);
    }
    if (!ok) { /* half a list would let through what the whole one keeps out */
        builder_destroy(b);
        return false;
    }
    return add(p, PERSON_PRIVACY, list, b);
}

bool facts_add_privacy_default(struct person *p, struct str list)
{
    struct builder *b = builder_create(STR("default"), NS_PRIVACY);
    builder_attr(b, STR("name"), list);
    return add(p, PERSON_PRIVACY_DEFAULT, STR(""), b);
}

/* --- the rest of the tables --- */

bool facts_add_vacation(struct person *p, const struct vacation_row *row)
{
    struct builder *b = builder_create(STR("query"), NS_VACATION);
    time_leaf(b, STR("start"), row->start);
    time_leaf(b, STR("end"), row->end > 0 ? row->end : DATETIME_MAX);
    builder_leaf(b, STR("message"), STR_NULL, row->message);
    return add(p, PERSON_VACATION, STR(""), b);
}

bool facts_add_disco(struct person *p, const struct disco_row *row)
{
    struct jid *jid = jid_parse(row->jid);
    struct buffer key;
    if (!jid)
        return false;
    struct builder *b = builder_create(STR("query"), NS_DISCO_ITEMS);
    if (row->parent.len)
        builder_attr(b, STR("node"), row->parent);
    builder_start(b, STR("item"), STR_NULL);
    builder_attr(b, STR("jid"), jid_full(jid));
    if (row->node.len)
        builder_attr(b, STR("node"), row->node);
    builder_attr(b, STR("name"), row->name);
    builder_end(b);
    buffer_init(&key, 1u << 20);
    buffer_printf(&key, "%.*s\n%s\n%.*s", STR_ARG(row->parent), jid->text, STR_ARG(row->node));
    bool ok = add(p, PERSON_DISCO, buffer_str(&key), b);
    buffer_finish(&key);
    jid_unref(jid);
    return ok;
}

bool facts_add_motd(struct person *p, const struct stanza *message, int64_t time)
{
    struct builder *b = builder_create(STR("motd"), NS_JACKDAW_PIE);
    time_attr(b, STR("time"), time);
    builder_copy(b, message, STANZA_ROOT);
    return add(p, PERSON_MOTD, STR(""), b);
}

bool facts_add_motd_seen(struct person *p, int64_t time)
{
    struct builder *b = builder_create(STR("motd-seen"), NS_JACKDAW_PIE);
    time_attr(b, STR("time"), time < 0 ? 0 : time);
    return add(p, PERSON_MOTD_SEEN, STR(""), b);
}

/* --- messages --- */

bool facts_add_queued(struct person *p, uint64_t id, struct stanza *message)
{
    char key[24];
    int len = snprintf(key, sizeof key, "%020llu", (unsigned long long)id);
    p->last_id = id;
    return person_add(p, PERSON_QUEUE, (struct str){key, (size_t)len}, message);
}

bool facts_add_message(struct person *p, struct stanza *message)
{
    stanza_el delay = stanza_child(message, STANZA_ROOT, STR("delay"), NS_DELAY);
    int64_t stamp = 0;
    if (delay == STANZA_NONE ||
        !datetime_parse(stanza_attr(message, delay, STR("stamp")), &stamp) || stamp < 0)
        stamp = 0;
    uint64_t id = (uint64_t)stamp * 1000000;
    return facts_add_queued(p, id > p->last_id ? id : p->last_id + 1, message);
}
