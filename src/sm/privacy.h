/* Privacy: a user's privacy lists (XEP-0016), of which the block list (XEP-0191) is a part, and
 * what they say about a stanza. Users without lists have no struct privacy and pay one comparison.
 * Changing them is privacy_change.c's. */
#ifndef JACKDAW_SM_PRIVACY_H
#define JACKDAW_SM_PRIVACY_H

#include "sm/session.h"

/* jabberd2's bits. An item without any is about everything, subscriptions and probes among it. */
#define PRIVACY_MESSAGE      1u
#define PRIVACY_PRESENCE_IN  2u
#define PRIVACY_PRESENCE_OUT 4u
#define PRIVACY_IQ           8u
#define PRIVACY_ONLY_ALL     0u /* a stanza that only items about everything concern */

#define PRIVACY_MAX_TEXT 1023u /* bytes of a list's name, or of a group */
#define PRIVACY_BLOCKLIST                                                                          \
    STR("urn:xmpp:blocking") /* the default list that a first block makes, as in jabberd2 */

enum privacy_type {
    PRIVACY_ANY, /* the fall-through */
    PRIVACY_JID,
    PRIVACY_GROUP,
    PRIVACY_SUBSCRIPTION
};

struct privacy_item {
    enum privacy_type type;
    uint16_t local_len, domain_len; /* of the JID: most are told apart without looking at it */
    struct jid *jid;                /* PRIVACY_JID */
    char *value;                    /* PRIVACY_GROUP, PRIVACY_SUBSCRIPTION: as written; else NULL */
    uint32_t order;
    uint8_t block; /* bits */
    bool deny;
};

struct privacy_items {
    struct privacy_item *items; /* by order */
    uint32_t count;
};

struct privacy_list {
    struct privacy_items content; /* never empty */
    char *name;
};

struct privacy {
    struct privacy_list **lists; /* by name */
    uint32_t count;
    struct privacy_list *standard; /* the default list; NULL: none */
    struct list waiting;           /* requests behind a change under way: privacy_change.c */
    uint32_t waiting_count;
    bool busy;     /* a change is being written */
    bool changing; /* what is sent just now follows from a change: not to be filtered */
};

/* Rows of privacy_load into a user that has none. */
void privacy_add_rows(struct user *user, const struct store_rows *rows);
struct privacy *privacy_get(struct user *user); /* made when there is none */
/* Forgets everything; nothing may be under way. NULL is fine. */
void privacy_destroy(struct privacy *privacy);

struct privacy_list *privacy_find(const struct user *user, struct str name); /* NULL when absent */
/* The list's content becomes `content` (moved); made or removed (empty) as needed. The old content
 * is the caller's in *ret_old. */
void privacy_put(struct user *user, struct str name, struct privacy_items *content,
                 struct privacy_items *ret_old);
/* Items in all lists but that one. */
uint32_t privacy_count(const struct user *user, struct str except);

/* Adds an empty item at the end; `items` grows. */
struct privacy_item *privacy_items_add(struct privacy_items *items);
void privacy_items_copy(struct privacy_items *to, const struct privacy_items *from); /* appends */
void privacy_items_finish(struct privacy_items *items);
/* Sorts by order; false when two have the same (XEP-0016 section 2.1). */
bool privacy_items_sort(struct privacy_items *items);
struct str privacy_type_name(enum privacy_type type); /* data == NULL for PRIVACY_ANY */
struct str privacy_value(const struct privacy_item *item);
/* Fills in type and value; OK, or the error of XEP-0016 section 2.1. */
enum stanza_condition privacy_item_set(struct privacy_item *item, struct str type,
                                       struct str value);
/* What XEP-0191 can show. */
static inline bool privacy_is_block(const struct privacy_item *item)
{
    return item->type == PRIVACY_JID && item->deny && !item->block;
}

/* The item that decides, NULL when none does: then the stanza is allowed. `kind` is one of the bits
 * or PRIVACY_ONLY_ALL. Section 2.2: in the order of the items, the first that matches. */
const struct privacy_item *privacy_match(const struct privacy_items *items,
                                         const struct roster *roster, const struct jid *who,
                                         unsigned kind);

/* The list that applies to a session; NULL: none. */
static inline const struct privacy_list *privacy_of(const struct session *s)
{
    return s->active ? s->active : s->user->privacy ? s->user->privacy->standard : NULL;
}
/* The item that forbids it, or NULL. The user's own resources are never concerned. */
const struct privacy_item *privacy_denial(const struct privacy_list *list, const struct user *user,
                                          const struct jid *who, unsigned kind);
/* May the session's presence go there? */
static inline bool privacy_shows(const struct session *s, const struct jid *who)
{
    return !s->user->privacy || !privacy_denial(privacy_of(s), s->user, who, PRIVACY_PRESENCE_OUT);
}
/* May other stanzas of the session go there? */
static inline bool privacy_reaches(const struct session *s, const struct jid *who)
{
    return !s->user->privacy || !privacy_denial(privacy_of(s), s->user, who, PRIVACY_ONLY_ALL);
}

#endif
