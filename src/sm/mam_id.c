/* Stable ids: see mam.h. XEP-0359 section 4. */
#include "sm/mam.h"
#include "xmpp/namespaces.h"

static void write_hex(uint64_t n, char *out)
{
    for (int i = 15; i >= 0; i--, n >>= 4)
        out[i] = "0123456789abcdef"[n & 15];
}

void mam_id_write(struct mam_id id, char out[MAM_ID_LEN])
{
    write_hex(id.time, out);
    write_hex(id.mark, out + 16);
}

/* 16 digits, as we write them. */
static bool read_hex(const char *text, uint64_t *ret)
{
    uint64_t n = 0;
    for (int i = 0; i < 16; i++) {
        char c = text[i];
        if ((c < '0' || c > '9') && (c < 'a' || c > 'f'))
            return false;
        n = n << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    *ret = n;
    return true;
}

bool mam_id_read(struct str text, struct mam_id *ret)
{
    return text.len == MAM_ID_LEN && read_hex(text.data, &ret->time) &&
           read_hex(text.data + 16, &ret->mark) && ret->time > 0 && ret->time <= INT64_MAX;
}

struct mam_id mam_id_of_row(const struct store_rows *rows, size_t row)
{
    return (struct mam_id){(uint64_t)store_int(rows, row, 0), (uint64_t)store_int(rows, row, 1)};
}

/* Of what stays the same wherever the message goes. */
static uint64_t mark_of(const struct user *user, uint64_t time, struct str from,
                        const struct stanza *s)
{
    const uint64_t *key = user->sm->mam_key;
    struct str owner = jid_full(user->jid), id = stanza_attr(s, STANZA_ROOT, STR("id"));
    stanza_el el = stanza_child(s, STANZA_ROOT, STR("body"), stanza_ns(s, STANZA_ROOT));
    struct str body = el == STANZA_NONE ? STR("") : stanza_text(s, el);
    uint64_t parts[] = {time, hash_bytes(key, owner.data, owner.len),
                        hash_bytes(key, from.data, from.len), hash_bytes(key, id.data, id.len),
                        hash_bytes(key, body.data, body.len)};
    return hash_bytes(key, parts, sizeof parts);
}

struct mam_id mam_id_make(const struct user *user, struct str from, const struct stanza *s)
{
    uint64_t time = store_sequence(user->sm->store);
    return (struct mam_id){time, mark_of(user, time, from, s)};
}

bool mam_id_fits(const struct user *user, struct mam_id id, struct str from, const struct stanza *s)
{
    return id.time && mark_of(user, id.time, from, s) == id.mark;
}

static bool is_stanza_id(const struct stanza *s, stanza_el el)
{
    return stanza_is(s, el, STR("stanza-id"), NS_STANZA_ID);
}

/* The element's id, when it is one that we made for this user. */
static struct mam_id read_own(const struct user *user, struct str from, const struct stanza *s,
                              stanza_el el)
{
    struct mam_id id;
    if (str_eq(stanza_attr(s, el, STR("by")), jid_full(user->jid)) &&
        mam_id_read(stanza_attr(s, el, STR("id")), &id) && mam_id_fits(user, id, from, s))
        return id;
    return (struct mam_id){0};
}

struct mam_id mam_id_of(const struct user *user, struct str from, const struct stanza *s)
{
    struct mam_id id = {0};
    for (stanza_el el = stanza_first(s, STANZA_ROOT); el != STANZA_NONE && !id.time;
         el = stanza_next(s, el))
        if (is_stanza_id(s, el))
            id = read_own(user, from, s, el);
    return id;
}

bool mam_id_forged(const struct sm *sm, const struct user *user, struct str from,
                   const struct stanza *s, stanza_el el)
{
    if (!is_stanza_id(s, el))
        return false;
    struct jid *by = jid_parse(stanza_attr(s, el, STR("by")));
    bool ours = by && sm_domain(sm, jid_domain(by));
    jid_unref(by);
    return ours && !(user && read_own(user, from, s, el).time);
}

void mam_id_add(struct builder *b, struct str by, struct mam_id id)
{
    char text[MAM_ID_LEN];
    mam_id_write(id, text);
    builder_start(b, STR("stanza-id"), NS_STANZA_ID);
    builder_attr(b, STR("by"), by);
    builder_attr(b, STR("id"), (struct str){text, sizeof text});
    builder_end(b);
}
