/* Person: one account (or a domain) with everything it has, on its way from one server to another.
 * Whatever is read (jabberd2's tables, XEP-0227, Prosody's files, our own store) becomes facts, and
 * facts are written to our store or to XEP-0227. A fact is an XML element in canonical form under a
 * key that is unique for its kind: that is how what was read is compared with what was stored.
 */
#ifndef JACKDAW_MOVE_PERSON_H
#define JACKDAW_MOVE_PERSON_H

#include "store/row_hash.h"
#include "xml/stanza.h"
#include "xmpp/jid.h"

enum person_kind {
#define X(id, name) PERSON_##id,
#include "move/person_kinds.def"
#undef X
    PERSON_KINDS
};
extern const char *const person_kind_names[PERSON_KINDS];

struct fact {
    enum person_kind kind;
    char *key;
    struct stanza *xml;
};

struct person {
    struct jid *jid; /* bare; of a domain alone: without local part */
    char *password;  /* in plain, where another server's export has it; never stored. NULL: none */
    struct fact *facts;
    size_t count, cap, bytes;
    uint64_t last_id; /* of the messages so far */
};

/* More than this of one person is refused by those who read. */
enum { PERSON_BYTES_MAX = 1 << 30, PERSON_FACTS_MAX = 1 << 22 };

struct person *person_create(struct jid *jid); /* takes the reference */
void person_destroy(struct person *p);         /* wipes the password; NULL is fine */
/* Takes the stanza (always). False when the person would have too much. */
bool person_add(struct person *p, enum person_kind kind, struct str key, struct stanza *xml);
/* Sorts by kind and key; of several with the same key the last one counts, and how many others
 * there were is returned. Needed before person_find, after the last person_add. */
size_t person_sort(struct person *p);
const struct fact *person_find(const struct person *p, enum person_kind kind, struct str key);
/* The first one of a kind, sorted or not; NULL when there is none. */
const struct fact *person_first(const struct person *p, enum person_kind kind);
/* The same content, byte for byte. */
bool person_same(const struct fact *a, const struct fact *b);

/* Sums for comparing: how many facts, and a hash of them that does not depend on their order. */
struct tally {
    uint64_t rows;
    unsigned char hash[ROW_HASH];
};
void person_tally(struct tally *t, const struct person *p, const struct fact *fact);

#endif
