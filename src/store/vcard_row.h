/* A vCard's rows from its XML: jabberd2's columns, and what the search (XEP-0055) compares. */
#ifndef JACKDAW_STORE_VCARD_ROW_H
#define JACKDAW_STORE_VCARD_ROW_H

#include "store/users.h"
#include "xml/stanza.h"
#include "xmpp/avatar.h"

/* Writes the vCard `card`, whose text is `xml`; one without content is removed. A user of `domain`
 * is found by the search unless it says that it would not be; data == NULL: no user. Returns
 * whether there is a picture, whose hash is then in `ret_hash`. */
bool vcard_row_put(struct store_txn *t, struct str owner, struct str domain,
                   const struct stanza *card, struct str xml, char ret_hash[AVATAR_HASH_LEN]);

#endif
