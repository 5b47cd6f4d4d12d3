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
#include "store/vcard_row.h"
#include "xmpp/namespaces.h"

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
    struct store_txn *t = store_begin(iq->sm->store);
    saving->has_photo = vcard_row_put(t, owner_of(iq), user ? jid_domain(user->jid) : STR_NULL,
                                      card, xml, saving->hash);
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
