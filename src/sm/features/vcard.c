/* vCards (XEP-0054): the user's own, and others' by their bare JID, answered by the server whether
 * they are here or not. The whole XML is kept as the client wrote it; jabberd2's columns are filled
 * beside it, and so are the words that the search compares. */
#include <stdlib.h>
#include "base/mem.h"
#include "sm/admin.h"
#include "sm/iq.h"
#include "sm/send.h"
#include "sm/stored.h"
#include "sm/vcard_avatar.h"
#include "store/users.h"
#include "xmpp/namespaces.h"
#include "xmpp/precis.h"

static const struct column {
    const char *element, *inner; /* inner may be NULL */
} columns[VCARD_COLUMNS] = {
#define X(id, column, element, inner) [VCARD_##id] = {element, inner},
#include "store/vcard.def"
#undef X
};

/* --- get --- */

/* Section 3.3: others get service-unavailable, as from an account that does not exist. */
static enum stanza_condition absent(const struct iq *iq)
{
    return iq->user && !iq->owner ? STANZA_ERR_SERVICE_UNAVAILABLE : STANZA_ERR_ITEM_NOT_FOUND;
}

static void on_row(void *arg, enum error e, const struct store_rows *rows)
{
    struct iq *iq = arg;
    struct stanza *card = NULL;
    if (!e && store_rows_count(rows))
        card = stored_parse(iq->sm->c->env->parsers, store_text(rows, 0, 0));
    if (card) {
        struct builder *b = iq_result_open(iq);
        builder_copy(b, card, STANZA_ROOT);
        iq_result_send(iq, b);
        stanza_unref(card);
        iq_finish(iq, STANZA_ERR_NONE);
    } else {
        iq_finish(iq, e ? send_condition(e) : absent(iq));
    }
}

/* The account's bare JID, or the domain. */
static struct str owner_of(const struct iq *iq)
{
    return iq->user ? jid_full(iq->user->jid) : jid_bare(iq->packet->to);
}

static enum stanza_condition on_get(struct iq *iq)
{
    struct iq *taken = iq_take(iq);
    vcard_get(taken->sm->store, owner_of(taken), on_row, taken);
    return STANZA_ERR_NONE;
}

/* --- set --- */

/* The text at a column's place. What has no inner element may have its text at once. */
static struct str value_of(const struct stanza *card, const struct column *column)
{
    stanza_el el = stanza_child(card, STANZA_ROOT, str_of(column->element), NS_VCARD);
    if (el == STANZA_NONE)
        return STR_NULL;
    stanza_el inner =
        column->inner ? stanza_child(card, el, str_of(column->inner), NS_VCARD) : STANZA_NONE;
    struct str text = stanza_text(card, inner == STANZA_NONE ? el : inner);
    return text.len && (inner != STANZA_NONE || !stanza_children(card, el)) ? text : STR_NULL;
}

struct folded {
    char text[1024];
    size_t len;
};

static struct str fold(struct str in, struct folded *room)
{
    if (!in.len || !precis_fold(in, room->text, &room->len))
        return STR("");
    return (struct str){room->text, room->len};
}

/* The user's own word on who may find the vCard: CLASS of RFC 2426 section 3.7.1. */
static bool confidential(const struct stanza *card)
{
    stanza_el class = stanza_child(card, STANZA_ROOT, STR("CLASS"), NS_VCARD);
    return class != STANZA_NONE &&
           (stanza_child(card, class, STR("PRIVATE"), NS_VCARD) != STANZA_NONE ||
            stanza_child(card, class, STR("CONFIDENTIAL"), NS_VCARD) != STANZA_NONE);
}

static void add_search(struct store_txn *t, const struct user *user, const struct stanza *card,
                       const struct vcard_row *row)
{
    struct folded fn, first, last, nick, email;
    if (confidential(card)) {
        vcard_delete_search(t, jid_full(user->jid));
        return;
    }
    struct vcard_search words = {
        .fn = fold(row->columns[VCARD_FN], &fn),
        .first = fold(row->columns[VCARD_N_GIVEN], &first),
        .last = fold(row->columns[VCARD_N_FAMILY], &last),
        .nick = fold(row->columns[VCARD_NICKNAME], &nick),
        .email = fold(row->columns[VCARD_EMAIL], &email),
    };
    vcard_set_search(t, jid_full(user->jid), jid_domain(user->jid), &words);
}

/* A set under way. */
struct saving {
    struct iq *iq;
    char hash[AVATAR_HASH_LEN];
    bool has_photo;
};

static void on_saved(void *arg, enum error e, const struct store_rows *rows)
{
    struct saving *saving = arg;
    struct iq *iq = saving->iq;
    struct user *user = iq->user;
    struct str hash = saving->has_photo ? (struct str){saving->hash, sizeof saving->hash} : STR("");
    if (!e && user) {
        bool same = saving->has_photo == user->has_photo &&
                    (!hash.len || memcmp(hash.data, user->photo_hash, hash.len) == 0);
        user_set_photo(user, hash);
        iq_result(iq);
        if (!same)
            vcard_avatar_changed(user);
    }
    if (!e && !user)
        iq_result(iq);
    iq_finish(iq, e ? send_condition(e) : STANZA_ERR_NONE);
    free(saving);
}

static void save(struct iq *iq, const struct stanza *card, struct str xml)
{
    struct user *user = iq->user;
    struct saving *saving = MEM_NEW(struct saving);
    struct vcard_row row = {.xml = xml};
    struct store_txn *t = store_begin(iq->sm->store);
    for (int i = 0; i < VCARD_COLUMNS; i++)
        row.columns[i] = value_of(card, &columns[i]);
    saving->has_photo = avatar_hash(row.columns[VCARD_PHOTO_BINVAL], saving->hash);
    if (saving->has_photo)
        row.photo_hash = (struct str){saving->hash, sizeof saving->hash};
    if (stanza_first(card, STANZA_ROOT) == STANZA_NONE) {
        vcard_delete(t, owner_of(iq)); /* an empty one is as good as none */
    } else {
        vcard_set(t, owner_of(iq), &row);
        if (user)
            add_search(t, user, card, &row);
    }
    saving->iq = iq_take(iq);
    store_commit(t, on_saved, saving);
}

/* Section 3.2. A domain's own (section 3.3, last note) is written by its administrators. */
static enum stanza_condition on_set(struct iq *iq)
{
    bool may = iq->user ? iq->owner
                        : iq->session && admin_may(iq->sm, jid_bare(iq->packet->from),
                                                   jid_domain(iq->packet->to));
    if (!may)
        return STANZA_ERR_FORBIDDEN; /* also when there is no such account */
    struct stanza *card = stanza_extract(iq->packet->stanza, iq->payload);
    struct str xml = stored_text(card);
    bool fits = xml.len <= (size_t)iq->sm->c->env->config->sm_max_vcard;
    if (fits)
        save(iq, card, xml);
    free((char *)xml.data);
    stanza_unref(card);
    return fits ? STANZA_ERR_NONE : STANZA_ERR_RESOURCE_CONSTRAINT;
}

static const struct iq_handler iqs[] = {
    {&NS_VCARD, "vCard", IQ_TO_ACCOUNT | IQ_TO_SERVER | IQ_GET, on_get},
    {&NS_VCARD, "vCard", IQ_TO_ACCOUNT | IQ_TO_SERVER | IQ_SET, on_set},
    {NULL, NULL, 0, NULL}};
static const struct str *const features[] = {&NS_VCARD, NULL};

const struct feature vcard_feature = {
    .name = "vcard",
    .iqs = iqs,
    .server_features = features,
    .account_features = features,
};
