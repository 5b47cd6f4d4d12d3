/* What stands in each of Prosody's stores. */
#include <stdlib.h>

#include "base/mem.h"
#include "move/prosody.h"
#include "xml/builder.h"
#include "xmpp/namespaces.h"

enum { GROUPS_MAX = 255, ATTRS_MAX = 1000 };

static void refuse(struct move_notes *notes, const struct person *p, const char *what,
                   struct str which)
{
    move_leave_out(notes, p->jid->text, "%s \"%.*s\" makes no sense; left out", what,
                   (int)(which.len > 200 ? 200 : which.len), which.data ? which.data : "");
}

static int64_t integer(double number)
{
    return number > 0 && number < 9e15 ? (int64_t)number : -1;
}

/* --- elements --- */

/* What every parser takes: letters, digits, - _ and . of ASCII. Others, that XML knows and nobody
 * uses, are refused. */
static bool xml_name(struct str name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.data[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        if (!letter && (i == 0 || !((c >= '0' && c <= '9') || c == '-' || c == '.')))
            return false;
    }
    return name.len > 0;
}

/* Two are for what XML means itself. */
static bool xml_namespace(struct str ns)
{
    return builder_text_ok(ns) && !str_eq(ns, NS_XML) &&
           !str_is(ns, "http://www.w3.org/2000/xmlns/");
}

/* In Lua the last of equal keys counts. */
static bool comes_again(const struct lua_pair *a)
{
    for (const struct lua_pair *b = a->next; b; b = b->next)
        if (b->key.type == LUA_STRING && str_eq(a->key.text, b->key.text))
            return true;
    return false;
}

/* Attributes but xmlns; "NAMESPACE\1NAME" is Prosody's way of writing them with one. */
static bool add_attrs(struct builder *b, const struct lua_value *attrs)
{
    size_t count = 0;
    if (!attrs || attrs->type != LUA_TABLE)
        return true;
    for (const struct lua_pair *a = attrs->first; a; a = a->next) {
        if (++count > ATTRS_MAX)
            return false;
        struct str name = a->key.text, ns = STR_NULL;
        if (a->key.type != LUA_STRING || a->value.type != LUA_STRING)
            return false;
        const char *separator = memchr(name.data, '\1', name.len);
        if (str_is(name, "xmlns") || comes_again(a))
            continue;
        if (separator) {
            ns = (struct str){name.data, (size_t)(separator - name.data)};
            name = (struct str){separator + 1, name.len - ns.len - 1};
        }
        if (str_is(name, "xml:lang")) {
            builder_lang(b, a->value.text);
            continue;
        }
        if (!xml_name(name) || (ns.data && (!ns.len || !xml_namespace(ns))))
            return false;
        if (ns.len)
            builder_attr_ns(b, name, ns, a->value.text);
        else
            builder_attr(b, name, a->value.text);
    }
    return true;
}

static struct str ns_of(const struct lua_value *v, struct str around)
{
    struct str ns = lua_text(lua_get(v, "attr"), "xmlns");
    return ns.data ? ns : around;
}

/* The content of an element that has just been opened. No deeper than the table was. */
static bool add_content(struct builder *b, const struct lua_value *v, struct str ns)
{
    if (!add_attrs(b, lua_get(v, "attr")))
        return false;
    for (const struct lua_pair *c = v->first; c; c = c->next) {
        if (c->key.type != LUA_NUMBER)
            continue;
        if (c->value.type == LUA_STRING) {
            builder_text(b, c->value.text);
            continue;
        }
        struct str name = lua_text(&c->value, "name"), own = ns_of(&c->value, ns);
        if (!xml_name(name) || !xml_namespace(own))
            return false;
        builder_start(b, name, own);
        if (!add_content(b, &c->value, own))
            return false;
        builder_end(b);
    }
    return true;
}

struct stanza *prosody_stanza(const struct lua_value *v, struct str ns)
{
    struct str name = lua_text(v, "name"), own = ns_of(v, ns);
    if (!xml_name(name) || !xml_namespace(own))
        return NULL;
    struct builder *b = builder_create(name, own);
    if (add_content(b, v, own))
        return builder_finish(b);
    builder_destroy(b);
    return NULL;
}

/* --- accounts --- */

static int hex_value(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

static size_t take_hex(struct str text, unsigned char *to, size_t max)
{
    if (text.len % 2 || text.len / 2 > max)
        return 0;
    for (size_t i = 0; i < text.len; i += 2) {
        int high = hex_value(text.data[i]), low = hex_value(text.data[i + 1]);
        if (high < 0 || low < 0)
            return 0;
        to[i / 2] = (unsigned char)(high << 4 | low);
    }
    return text.len / 2;
}

/* The hash is not named: the length of its keys tells. */
static bool take_keys(struct person *p, const struct lua_value *data)
{
    struct str salt = lua_text(data, "salt");
    struct scram_keys keys = {.salt_len = salt.len};
    size_t size = take_hex(lua_text(data, "stored_key"), keys.stored_key, sizeof keys.stored_key);
    int64_t iterations = integer(lua_number(data, "iteration_count", 0));
    int hash = 0;
    while (hash < SCRAM_HASHES && scram_hash_size((enum scram_hash)hash) != size)
        hash++;
    bool ok =
        hash < SCRAM_HASHES && salt.len && salt.len <= sizeof keys.salt && iterations > 0 &&
        iterations <= UINT32_MAX &&
        take_hex(lua_text(data, "server_key"), keys.server_key, sizeof keys.server_key) == size;
    if (ok) {
        keys.hash = (enum scram_hash)hash;
        keys.iterations = (uint32_t)iterations;
        memcpy(keys.salt, salt.data, salt.len);
        ok = facts_add_scram(p, &keys);
    }
    mem_wipe(&keys, sizeof keys);
    return ok;
}

static void take_account(struct person *p, const struct lua_value *data, struct move_notes *notes)
{
    struct str password = lua_text(data, "password");
    int64_t created = integer(lua_number(data, "created", -1));
    facts_add_account(p, created, lua_true(lua_get(data, "disabled")));
    if (password.len)
        p->password = str_dup(password);
    else if (!take_keys(p, data))
        move_leave_out(notes, p->jid->text,
                       "there is neither a password nor keys; give the account a password with "
                       "`jackdaw user passwd`");
}

/* --- roster --- */

static void take_pending(struct person *p, const struct lua_value *pending,
                         struct move_notes *notes)
{
    if (!pending || pending->type != LUA_TABLE)
        return;
    for (const struct lua_pair *c = pending->first; c; c = c->next) {
        if (c->key.type != LUA_STRING || !lua_true(&c->value))
            continue;
        struct stanza *presence =
            c->value.type == LUA_TABLE ? prosody_stanza(&c->value, NS_CLIENT) : NULL;
        if (!facts_add_request(p, c->key.text, presence))
            refuse(notes, p, "subscription request from", c->key.text);
        stanza_unref(presence);
    }
}

static void take_item(struct person *p, struct str jid, const struct lua_value *item, bool approved,
                      struct move_notes *notes)
{
    struct str subscription = lua_text(item, "subscription"), groups[GROUPS_MAX];
    const struct lua_value *set = lua_get(item, "groups");
    bool both = str_is(subscription, "both");
    size_t count = 0;
    struct roster_row row = {.jid = jid,
                             .name = lua_text(item, "name"),
                             .to = both || str_is(subscription, "to"),
                             .from = both || str_is(subscription, "from"),
                             .ask = str_is(lua_text(item, "ask"), "subscribe"),
                             .approved = approved || lua_true(lua_get(item, "approved"))};
    if (set && set->type == LUA_TABLE)
        for (const struct lua_pair *g = set->first; g && count < GROUPS_MAX; g = g->next)
            if (g->key.type == LUA_STRING && lua_true(&g->value))
                groups[count++] = g->key.text;
    if (!facts_add_roster(p, &row, groups, count))
        refuse(notes, p, "roster item", jid);
}

/* Under `false` stands what is about the whole roster; under "pending" it was until 0.9. */
static void take_roster(struct person *p, const struct lua_value *data, struct move_notes *notes)
{
    const struct lua_value *whole = lua_get_false(data), *approved = lua_get(whole, "approved");
    take_pending(p, lua_get(whole, "pending"), notes);
    take_pending(p, lua_get(data, "pending"), notes);
    for (const struct lua_pair *c = data->first; c; c = c->next) {
        char *jid;
        if (c->key.type != LUA_STRING || c->value.type != LUA_TABLE ||
            str_is(c->key.text, "pending"))
            continue;
        jid = str_dup(c->key.text);
        take_item(p, c->key.text, &c->value, lua_true(lua_get(approved, jid)), notes);
        free(jid);
    }
}

/* --- what a client keeps --- */

static void take_vcard(struct person *p, const struct lua_value *data, struct move_notes *notes)
{
    struct stanza *card = prosody_stanza(data, NS_VCARD);
    if (card && stanza_is(card, STANZA_ROOT, STR("vCard"), NS_VCARD) &&
        stanza_first(card, STANZA_ROOT) != STANZA_NONE) {
        facts_add_vcard(p, card);
        return;
    }
    if (!card)
        refuse(notes, p, "vCard", STR(""));
    stanza_unref(card);
}

static void take_private(struct person *p, const struct lua_value *data, struct move_notes *notes)
{
    for (const struct lua_pair *c = data->first; c; c = c->next) {
        struct stanza *s = prosody_stanza(&c->value, STR(""));
        struct builder *b = s ? builder_create(STR("query"), NS_PRIVATE) : NULL;
        if (!s) {
            refuse(notes, p, "private XML", c->key.text);
            continue;
        }
        builder_copy(b, s, STANZA_ROOT);
        struct stanza *around = builder_finish(b);
        facts_add_private(p, around, stanza_first(around, STANZA_ROOT));
        stanza_unref(around);
        stanza_unref(s);
    }
}

/* A block list is the privacy list that blocking keeps here. */
static void take_blocklist(struct person *p, const struct lua_value *data, struct move_notes *notes)
{
    static const struct str list = {"urn:xmpp:blocking", 17};
    size_t count = 0, cap = 0;
    struct privacy_row *items = NULL;
    for (const struct lua_pair *c = data->first; c; c = c->next) {
        if (c->key.type != LUA_STRING || !lua_true(&c->value))
            continue;
        struct jid *jid = jid_parse(c->key.text);
        if (!jid) {
            refuse(notes, p, "blocked address", c->key.text);
            continue;
        }
        jid_unref(jid);
        if (count == cap) {
            cap = cap ? 2 * cap : 16;
            items = mem_realloc(items, cap * sizeof *items);
        }
        items[count] = (struct privacy_row){
            .type = STR("jid"), .value = c->key.text, .deny = true, .order = (uint32_t)count};
        count++;
    }
    if (count && facts_add_privacy(p, list, items, count))
        facts_add_privacy_default(p, list);
    free(items);
}

/* --- offline messages --- */

/* The time it came stands in an attribute, beside those of the message. */
static void take_message(struct person *p, const struct lua_value *v, struct move_notes *notes)
{
    struct stanza *s = prosody_stanza(v, NS_CLIENT);
    if (!s || !stanza_is(s, STANZA_ROOT, STR("message"), NS_CLIENT)) {
        refuse(notes, p, "offline message", STR(""));
        stanza_unref(s);
        return;
    }
    struct builder *b = builder_create(STR("message"), NS_CLIENT);
    struct str stamp = stanza_attr(s, STANZA_ROOT, STR("stamp"));
    for (uint32_t i = 0; i < stanza_attr_count(s, STANZA_ROOT); i++) {
        struct str name, ns, value;
        stanza_attr_at(s, STANZA_ROOT, i, &name, &ns, &value);
        if (ns.len)
            builder_attr_ns(b, name, ns, value);
        else if (!str_is(name, "stamp") && !str_is(name, "stamp_legacy"))
            builder_attr(b, name, value);
    }
    builder_copy_inner(b, s, STANZA_ROOT);
    if (stamp.data) {
        builder_start(b, STR("delay"), NS_DELAY);
        builder_attr(b, STR("from"), jid_domain(p->jid));
        builder_attr(b, STR("stamp"), stamp);
        builder_end(b);
    }
    facts_add_message(p, builder_finish(b));
    stanza_unref(s);
}

static void take_offline(struct person *p, const struct lua_value *data, struct move_notes *notes)
{
    for (const struct lua_pair *c = data->first; c; c = c->next)
        take_message(p, &c->value, notes);
}

const struct prosody_store prosody_stores[] = {
    {"accounts", false, take_account},
    {"roster", false, take_roster},
    {"vcard", false, take_vcard},
    {"private", false, take_private},
    {"blocklist", false, take_blocklist},
    {"offline", true, take_offline},
    {NULL, false, NULL},
};
