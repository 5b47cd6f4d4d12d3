/* What of a vCard stands in columns. */
#include "store/vcard_row.h"

#include "xmpp/namespaces.h"
#include "xmpp/precis.h"

static const struct column {
    const char *element, *inner; /* inner may be NULL */
} columns[VCARD_COLUMNS] = {
#define X(id, column, element, inner) [VCARD_##id] = {element, inner},
#include "store/vcard.def"
#undef X
};

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

static void add_search(struct store_txn *t, struct str owner, struct str domain,
                       const struct stanza *card, const struct vcard_row *row)
{
    struct folded fn, first, last, nick, email;
    if (confidential(card)) {
        vcard_delete_search(t, owner);
        return;
    }
    struct vcard_search words = {
        .fn = fold(row->columns[VCARD_FN], &fn),
        .first = fold(row->columns[VCARD_N_GIVEN], &first),
        .last = fold(row->columns[VCARD_N_FAMILY], &last),
        .nick = fold(row->columns[VCARD_NICKNAME], &nick),
        .email = fold(row->columns[VCARD_EMAIL], &email),
    };
    vcard_set_search(t, owner, domain, &words);
}

bool vcard_row_put(struct store_txn *t, struct str owner, struct str domain,
                   const struct stanza *card, struct str xml, char ret_hash[AVATAR_HASH_LEN])
{
    struct vcard_row row = {.xml = xml};
    for (int i = 0; i < VCARD_COLUMNS; i++)
        row.columns[i] = value_of(card, &columns[i]);
    bool has_photo = avatar_hash(row.columns[VCARD_PHOTO_BINVAL], ret_hash);
    if (has_photo)
        row.photo_hash = (struct str){ret_hash, AVATAR_HASH_LEN};
    if (stanza_first(card, STANZA_ROOT) == STANZA_NONE) {
        vcard_delete(t, owner); /* an empty one is as good as none */
        return has_photo;
    }
    vcard_set(t, owner, &row);
    if (domain.data)
        add_search(t, owner, domain, card, &row);
    return has_photo;
}
