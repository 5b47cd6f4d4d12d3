/* Roster: one user's contacts in memory (RFC 6121 section 2), sorted by JID. Writing it to the
 * store is change.c's. */
#ifndef JACKDAW_SM_ROSTER_H
#define JACKDAW_SM_ROSTER_H

#include "sm/subscription.h"
#include "store/users.h"
#include "xml/builder.h"
#include "xml/parser.h"
#include "xmpp/jid.h"

#define ROSTER_MAX_TEXT   1023u /* bytes of a name or group (reliability.md B 35) */
#define ROSTER_MAX_GROUPS 100u

struct roster_item {
    struct jid *jid;
    char *name;             /* NULL: none */
    char *groups;           /* group_count texts, each with its NUL; NULL: none */
    struct stanza *request; /* the subscribe stanza while pending in; may be NULL */
    uint64_t version;       /* of the last change */
    uint8_t group_count;
    uint8_t state; /* enum subscription_state */
    bool approved; /* pre-approval: section 3.4 */
    bool hidden;   /* only a request: not in the roster the user sees (3.1.3) */
    /* Of groups in the configuration (features/shared_groups.c): then `state` is both, and what is
     * the user's own lies beneath. */
    bool own;          /* the user has the item, too: there is a row for it */
    uint8_t own_state; /* enum subscription_state */
    bool own_hidden;
    uint8_t shared_count;
    char *shared; /* names of those groups, each with its NUL; NULL: none */
};

struct roster {
    struct roster_item **items; /* sorted by JID */
    uint32_t count, cap;
    uint32_t hidden; /* of count */
    uint64_t version;
    uint64_t shared_mark; /* of what groups in the configuration add; 0: nothing */
    uint64_t floor;       /* what changed since an older version is not known any more (XEP-0237) */
};

void roster_finish(struct roster *r);
/* Some items have become shared, or are so no longer: what that makes is told apart from any other
 * state by its mark. */
void roster_mark_shared(struct roster *r);

#define ROSTER_VERSION_SIZE 48
#define ROSTER_NO_VERSION   UINT64_MAX /* written as one that no roster ever has */
/* A version as clients see it (XEP-0237): the number, and behind it the mark of what is shared, so
 * that what the configuration does makes another version. */
struct str roster_version_write(const struct roster *r, uint64_t version,
                                char room[ROSTER_VERSION_SIZE]);
/* False for one that the client cannot have of what is shared now. */
bool roster_version_read(const struct roster *r, struct str text, uint64_t *ret);

struct roster_item *roster_find(const struct roster *r, struct str jid); /* NULL when absent */
/* The item of that JID, made (state None, hidden) when there is none. */
struct roster_item *roster_put(struct roster *r, struct jid *jid);
/* Takes the item out; the caller owns it. NULL when absent. */
struct roster_item *roster_take(struct roster *r, struct str jid);
/* Puts back an item taken or copied before; replaces the one of the same JID. */
void roster_restore(struct roster *r, struct roster_item *item);
void roster_set_hidden(struct roster *r, struct roster_item *item, bool hidden);

struct roster_item *roster_item_copy(const struct roster_item *item);
void roster_item_destroy(struct roster_item *item); /* NULL is fine */
void roster_item_set_name(struct roster_item *item,
                          struct str name); /* data == NULL or empty: none */
void roster_item_set_groups(struct roster_item *item, const struct str *groups, size_t count);
/* One more shared group; the first one makes the item shared. */
void roster_item_share(struct roster_item *item, struct str group);
/* No longer shared: what is the user's own comes up again, but for own_hidden, which the caller
 * sets (roster_set_hidden). */
void roster_item_unshare(struct roster_item *item);
void roster_item_set_request(struct roster_item *item,
                             struct stanza *request); /* takes its own reference */

/* Adds <item/> (section 2.1.2); with `removed` only the JID and subscription='remove'. */
void roster_item_write(const struct roster_item *item, bool removed, struct builder *b);

/* Rows of roster_load and roster_load_groups. The request of a row is parsed with `pool`. */
void roster_add_rows(struct roster *r, const struct store_rows *rows, struct parser_pool *pool);
void roster_add_group_rows(struct roster *r, const struct store_rows *rows);
/* The write of an item as it is now. */
struct store_txn *roster_item_store(struct store_txn *t, struct str owner,
                                    const struct roster_item *item);

#endif
