/* Stable ids: see mam.h. XEP-0359 section 4. */
#include "sm/mam.h"
#include "xmpp/namespaces.h"

static void write_hex(uint64_t n, char out[16])
{
    for (int i = 16; i-- > 0; n >>= 4)
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

struct mam_face mam_face_of(const struct user *user, struct str from, const struct stanza *s)
{
    const uint64_t *key = user->sm->mam_key;
    struct str owner = jid_full(user->jid), id = stanza_attr(s, STANZA_ROOT, STR("id"));
    stanza_el el = stanza_child(s, STANZA_ROOT, STR("body"), stanza_ns(s, STANZA_ROOT));
    struct str body = el == STANZA_NONE ? STR("") : stanza_text(s, el);
    return (struct mam_face){.owner = hash_bytes(key, owner.data, owner.len),
                             .from = hash_bytes(key, from.data, from.len),
                             .id = hash_bytes(key, id.data, id.len),
                             .body = hash_bytes(key, body.data, body.len),
                             .has_id = id.len > 0};
}

static uint64_t mark_of(const struct user *user, uint64_t time, const struct mam_face *face)
{
    uint64_t parts[] = {time, face->owner, face->from, face->id, face->body};
    return hash_bytes(user->sm->mam_key, parts, sizeof parts);
}

struct mam_id mam_id_make(const struct user *user, const struct mam_face *face)
{
    uint64_t time = store_sequence(user->sm->store);
    return (struct mam_id){time, mark_of(user, time, face)};
}

bool mam_id_fits(const struct user *user, struct mam_id id, const struct mam_face *face)
{
    return id.time && id.time >= face->since && mark_of(user, id.time, face) == id.mark;
}

static bool is_stanza_id(const struct stanza *s, stanza_el el)
{
    return stanza_is(s, el, STR("stanza-id"), NS_STANZA_ID);
}

/* The element's id, when it is one that we made for this user. */
static struct mam_id read_own(const struct user *user, struct str from, const struct stanza *s,
                              stanza_el el)
{
    struct mam_id id, none = {0};
    if (!str_eq(stanza_attr(s, el, STR("by")), jid_full(user->jid)) ||
        !mam_id_read(stanza_attr(s, el, STR("id")), &id))
        return none;
    struct mam_face face = mam_face_of(user, from, s);
    return mam_id_fits(user, id, &face) ? id : none;
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
