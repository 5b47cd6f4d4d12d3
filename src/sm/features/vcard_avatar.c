/* Avatars in presence (XEP-0153): the server writes the hash of the vCard's picture into its user's
 * presence, as XEP-0398 section 4 has it, so that no client need download the picture to announce
 * it. A user without picture costs one comparison. */
#include "sm/vcard_avatar.h"

#include "sm/presence.h"
#include "sm/send.h"
#include "xmpp/namespaces.h"

static struct str hash_of(const struct user *user)
{
    return user->has_photo ? (struct str){user->photo_hash, sizeof user->photo_hash} : STR_NULL;
}

/* What the presence says: data == NULL when it says nothing of a picture (no update, or one without
 * photo: the client is not ready to tell). */
static struct str announced(const struct stanza *s)
{
    stanza_el x = stanza_child(s, STANZA_ROOT, STR("x"), NS_VCARD_UPDATE);
    stanza_el photo = x == STANZA_NONE ? STANZA_NONE : stanza_child(s, x, STR("photo"), STR_NULL);
    return photo == STANZA_NONE ? STR_NULL : stanza_text(s, photo);
}

/* The presence with this hash in it, empty for no picture. */
static struct stanza *with_hash(const struct stanza *s, struct str hash)
{
    struct builder *b = builder_create_like(s);
    for (stanza_el el = stanza_first(s, STANZA_ROOT); el != STANZA_NONE; el = stanza_next(s, el))
        if (!stanza_is(s, el, STR("x"), NS_VCARD_UPDATE))
            builder_copy(b, s, el);
    builder_start(b, STR("x"), NS_VCARD_UPDATE);
    builder_leaf(b, STR("photo"), STR_NULL, hash);
    builder_end(b);
    return builder_finish(b);
}

/* XEP-0398 section 4: every available presence, also a directed one, but where the client says that
 * it has no picture. */
static enum path_result at_from_client(struct path_event *e)
{
    struct stanza *s = e->packet->stanza;
    struct str hash = hash_of(e->user);
    if (!hash.data || send_kind_of(s) != SEND_PRESENCE || send_type(s).data)
        return PATH_PASS;
    struct str said = announced(s);
    if (said.data && (!said.len || str_eq(said, hash)))
        return PATH_PASS;
    e->packet->stanza = with_hash(s, hash);
    stanza_unref(s);
    return PATH_PASS;
}

void vcard_avatar_changed(struct user *user)
{
    struct str hash = hash_of(user);
    for (struct session *session = user->sessions; session; session = session->next) {
        if (!session_available(session) || str_eq(announced(session->presence), hash))
            continue;
        struct stanza *s = with_hash(session->presence, hash.data ? hash : STR(""));
        presence_replace(session, s);
        stanza_unref(s);
    }
}

const struct feature vcard_avatar_feature = {
    .name = "vcard_avatar",
    .at = {[PATH_FROM_CLIENT] = at_from_client},
};
