/* Users' data: the tables of the session manager, with their jabberd2 names. Owner first in every
 * key. */
#ifndef JACKDAW_STORE_USERS_H
#define JACKDAW_STORE_USERS_H

#include "store/store.h"

/* ---- active, logout ---- */
/* Row: active.time, logout.time, logout.status, vcard.photo-hash, vacation start and end (SQL NULL
 * where absent), how many privacy items, how many pushes, mam-prefs: default, always, never;
 * active.new; no row when the account is not active. */
void users_get(struct store *s, struct str owner, store_fn fn, void *arg);
struct store_txn *users_activate(struct store_txn *t, struct str owner,
                                 int64_t time); /* keeps an existing time */
/* The same; the account has yet to get what new accounts get. Until then users_get says so. */
struct store_txn *users_activate_new(struct store_txn *t, struct str owner, int64_t time);
struct store_txn *users_welcomed(struct store_txn *t, struct str owner);
/* Removes every row the owner has in any table. */
struct store_txn *users_delete(struct store_txn *t, struct str owner);
struct store_txn *users_set_logout(struct store_txn *t, struct str owner, int64_t time,
                                   struct str status);
/* Rows: owner, active.time, logout.time; sorted; domain.data == NULL for all. */
void users_list(struct store *s, struct str domain, store_fn fn, void *arg);
/* Rows: owner; the first `limit` of a domain. */
void users_page(struct store *s, struct str domain, uint32_t limit, store_fn fn, void *arg);
void users_count(struct store *s, struct str domain, store_fn fn, void *arg); /* row: count */

/* ---- roster-items, roster-groups ---- */
struct roster_row {
    struct str jid;  /* prepared */
    struct str name; /* data == NULL: none */
    bool to, from;
    int ask;                /* 0 none, 1 subscribe (pending out) */
    bool pending_in;        /* a subscription request not yet answered */
    bool approved;          /* pre-approval (RFC 6121 section 3.4) */
    bool hidden;            /* only pending in: not shown in the roster */
    uint64_t version;       /* of the change that wrote it (roster versioning) */
    struct str pending_xml; /* the subscribe stanza to re-deliver at login; data == NULL: none */
};
/* Rows: jid, name, to, from, ask, pending_in, approved, hidden, version, pending_xml; ordered by
 * jid. */
void roster_load(struct store *s, struct str owner, store_fn fn, void *arg);
/* Rows: jid, group; in the order the user gave them. */
void roster_load_groups(struct store *s, struct str owner, store_fn fn, void *arg);
/* Row: version, floor; no row for a roster never changed. Deleted items keep a tombstone row with
 * their version; the newest ROSTER_TOMBSTONES_MAX are kept: what changed since version V can be
 * told only when V >= floor (XEP-0237). */
#define ROSTER_TOMBSTONES_MAX 256
void roster_load_version(struct store *s, struct str owner, store_fn fn, void *arg);
/* Rows: jid, version of items removed. */
void roster_load_removed(struct store *s, struct str owner, store_fn fn, void *arg);
/* Inserts or replaces the item, its groups, and the owner's version. */
struct store_txn *roster_set(struct store_txn *t, struct str owner, const struct roster_row *item,
                             const struct str *groups, size_t group_count);
struct store_txn *roster_remove(struct store_txn *t, struct str owner, struct str jid,
                                uint64_t version);
/* What changed before is not told any more: whoever asks gets all of it. */
struct store_txn *roster_forget(struct store_txn *t, struct str owner);

/* ---- motd-message, motd-times: messages of the day ---- */
/* Rows: domain, xml, time (seconds since 1970). */
void motd_list(struct store *s, store_fn fn, void *arg);
struct store_txn *motd_set(struct store_txn *t, struct str domain, struct str xml, int64_t time);
struct store_txn *motd_delete(struct store_txn *t, struct str domain);
/* Row: the time of the message that a user has seen last; no row when none. */
void motd_time(struct store *s, struct str owner, store_fn fn, void *arg);
/* From now on the user has seen what is of that time; ERR_EXISTS from the commit when it had. */
struct store_txn *motd_see(struct store_txn *t, struct str owner, int64_t time);
/* The same without asking. */
struct store_txn *motd_seen(struct store_txn *t, struct str owner, int64_t time);

/* ---- welcome-message, admins: what administrators set for a domain ---- */
void welcome_list(struct store *s, store_fn fn, void *arg); /* rows: domain, xml */
struct store_txn *welcome_set(struct store_txn *t, struct str domain, struct str xml);
struct store_txn *welcome_delete(struct store_txn *t, struct str domain);
void admins_list(struct store *s, store_fn fn, void *arg); /* rows: bare JID, domain */
struct store_txn *admins_add(struct store_txn *t, struct str owner, struct str domain);
struct store_txn *admins_clear(struct store_txn *t, struct str domain);

/* ---- server-lists: whom the server lets speak with its users ---- */
void server_lists_load(struct store *s, store_fn fn, void *arg); /* rows: list, JID */
struct store_txn *server_lists_add(struct store_txn *t, struct str list, struct str jid);
struct store_txn *server_lists_clear(struct store_txn *t, struct str list);

/* ---- queue: offline messages, exact order ---- */
/* `xml`: the whole stanza in canonical bytes with its delay; `id` strictly growing per owner,
 * chosen by the caller (store_sequence): the "object-sequence" of the row. The commit fails with
 * STORE_FULL when the owner has `max_count` already. */
struct store_txn *queue_push(struct store_txn *t, struct str owner, uint64_t id, struct str xml,
                             uint32_t max_count);
/* With the message's id in the ledger (link/ledger.h). */
struct store_txn *queue_push_traced(struct store_txn *t, struct str owner, uint64_t id,
                                    struct str xml, uint32_t max_count, uint64_t trace);
/* Rows: id, xml, trace; ascending; at most `limit` from `after` (exclusive). */
void queue_load(struct store *s, struct str owner, uint64_t after, uint32_t limit, store_fn fn,
                void *arg);
struct store_txn *queue_delete_range(struct store_txn *t, struct str owner, uint64_t first,
                                     uint64_t last); /* both of them, too */
/* One of them, row: xml; and its removal, whose commit fails with NOT_FOUND when it is not there.
 */
void queue_get(struct store *s, struct str owner, uint64_t id, store_fn fn, void *arg);
struct store_txn *queue_delete(struct store_txn *t, struct str owner, uint64_t id);
/* Nothing happens when it is not there. */
struct store_txn *queue_replace(struct store_txn *t, struct str owner, uint64_t id, struct str xml);
void queue_count(struct store *s, struct str owner, store_fn fn, void *arg); /* row: count */

/* ---- private: XEP-0049 ---- */
struct private_key {
    struct str owner, ns, name; /* of the elements */
};
void private_get(struct store *s, const struct private_key *key, store_fn fn,
                 void *arg); /* row: xml */
/* The commit fails with STORE_FULL when all of the owner's would be more than `max_bytes`. */
struct store_txn *private_set(struct store_txn *t, const struct private_key *key, struct str xml,
                              uint64_t max_bytes);
void private_list(struct store *s, struct str owner, store_fn fn,
                  void *arg); /* rows: ns, name, xml */
struct store_txn *private_delete(struct store_txn *t, const struct private_key *key);

/* ---- vcard, vcard-search: XEP-0054, 0055 ---- */
enum {
#define X(id, column, element, inner) VCARD_##id,
#include "store/vcard.def"
#undef X
    VCARD_COLUMNS
};
struct vcard_row {
    struct str columns[VCARD_COLUMNS]; /* data == NULL: none */
    struct str xml;
    struct str photo_hash; /* hex of SHA-1 (XEP-0153); data == NULL: no photo */
};
void vcard_get(struct store *s, struct str owner, store_fn fn, void *arg); /* row: xml */
struct store_txn *vcard_set(struct store_txn *t, struct str owner, const struct vcard_row *row);
struct store_txn *vcard_delete(struct store_txn *t, struct str owner);
/* What can be searched for, every text folded by precis_fold; "" where there is none. Without a row
 * here the owner is not found. */
struct vcard_search {
    struct str fn, first, last, nick, email;
};
struct store_txn *vcard_set_search(struct store_txn *t, struct str owner, struct str domain,
                                   const struct vcard_search *what);
struct store_txn *vcard_delete_search(struct store_txn *t, struct str owner);
/* Rows: owner, fn, n-given, n-family, nickname, email as the users wrote them, of those whose
 * fields begin like `what`; at most `limit`, sorted by owner. */
void vcard_find(struct store *s, struct str domain, const struct vcard_search *what, uint32_t limit,
                store_fn fn, void *arg);

/* ---- disco-items: what a user publishes of itself ---- */
struct disco_row {
    struct str parent; /* the user's node it stands under; "" for the account itself */
    struct str jid, node;
    struct str name; /* data == NULL: none */
};
/* Rows: jid, name, node. */
void disco_load(struct store *s, struct str owner, struct str parent, store_fn fn, void *arg);
/* Rows: parent, jid, node, name; all of them. */
void disco_list(struct store *s, struct str owner, store_fn fn, void *arg);
/* The commit fails with STORE_FULL when the owner would have more than `max` in all. */
struct store_txn *disco_set(struct store_txn *t, struct str owner, const struct disco_row *row,
                            uint32_t max);
struct store_txn *disco_delete(struct store_txn *t, struct str owner, const struct disco_row *row);

/* ---- privacy-default, privacy-items: XEP-0016 ---- */
struct privacy_row {
    struct str list;
    struct str type, value; /* data == NULL: the fall-through */
    bool deny;
    uint32_t order;
    uint8_t block; /* bits: 1 message, 2 presence-in, 4 presence-out, 8 iq; 0: everything */
};
/* Rows: list, type, value, deny, order, block, default (the name of the default list, in each);
 * ordered by list and order. */
void privacy_load(struct store *s, struct str owner, store_fn fn, void *arg);
struct store_txn *privacy_delete(struct store_txn *t, struct str owner, struct str list);
struct store_txn *privacy_add(struct store_txn *t, struct str owner, const struct privacy_row *row);
/* data == NULL: none. */
struct store_txn *privacy_set_standard(struct store_txn *t, struct str owner, struct str list);

/* ---- status: web presence, for programs that read the table ---- */
struct status_row {
    struct str status;     /* "online" or "offline" */
    struct str show, xml;  /* of the last presence; data == NULL: none */
    int64_t login, logout; /* seconds since 1970; 0: never */
};
/* Row: status, show, last-login, last-logout, xml. */
void status_get(struct store *s, struct str owner, store_fn fn, void *arg);
struct store_txn *status_set(struct store_txn *t, struct str owner, const struct status_row *row);
/* The user is online, with this presence; `time` is that of the login unless it was online. */
struct store_txn *status_presence(struct store_txn *t, struct str owner, struct str show,
                                  struct str xml, int64_t time);
struct store_txn *status_gone(struct store_txn *t, struct str owner, struct str xml, int64_t time);

/* ---- verify, published-roster, published-roster-groups: imported from jabberd2, kept for export
 * ---- */
struct verify_row {
    struct str email, code; /* code.data == NULL: none */
    int64_t state;
};
void verify_list(struct store *s, struct str owner, store_fn fn,
                 void *arg); /* rows: email, code, state */
struct store_txn *verify_set(struct store_txn *t, struct str owner, const struct verify_row *row);
struct published_row {
    struct str jid, group; /* group "" for none */
    struct str name;       /* data == NULL: none */
    bool to, from;
    int ask;
};
/* Rows: jid, group, name, to, from, ask. */
void published_list(struct store *s, struct str owner, store_fn fn, void *arg);
struct store_txn *published_set(struct store_txn *t, struct str owner,
                                const struct published_row *row);
/* Rows: groupname. */
void published_groups_list(struct store *s, struct str owner, store_fn fn, void *arg);
struct store_txn *published_groups_set(struct store_txn *t, struct str owner, struct str name);

/* ---- outbox: accepted messages that nobody has confirmed yet ---- */
/* Of `owner`, a local user or domain in whose name or for whom it is; `sm` wrote it and will send
 * it again. `id` as in the queue. The commit fails with STORE_FULL when the owner has `max_count`
 * already. */
struct store_txn *outbox_push(struct store_txn *t, struct str owner, uint64_t id, struct str sm,
                              struct str xml, uint32_t max_count, uint64_t trace);
/* Of all owners: rows owner, id, xml, trace; ascending by id; at most `limit` with after < id <=
 * upto. */
void outbox_load(struct store *s, struct str sm, uint64_t after, uint64_t upto, uint32_t limit,
                 store_fn fn, void *arg);
struct store_txn *outbox_delete(struct store_txn *t, struct str owner, uint64_t id);
/* Those that are not of `sm`: rows owner, id, xml, sm, trace; ascending by id, from behind `after`.
 */
void outbox_of_others(struct store *s, struct str sm, uint64_t after, uint32_t limit, store_fn fn,
                      void *arg);
/* The row is of `sm` now; NOT_FOUND when it is not of `former` any more. */
struct store_txn *outbox_claim(struct store_txn *t, struct str owner, uint64_t id,
                               struct str former, struct str sm);

/* ---- push: app servers of a user's devices (XEP-0357) ---- */
struct push_row {
    struct str jid, node; /* node "": none */
    struct str resource;  /* of the session that asked for it */
    struct str options;   /* a form; data == NULL: none */
};
/* Rows: jid, node, resource, options, and in each the number of messages in the owner's queue; the
 * last one set is the last. */
void push_load(struct store *s, struct str owner, store_fn fn, void *arg);
struct store_txn *push_set(struct store_txn *t, struct str owner, const struct push_row *row);
struct store_txn *push_delete(struct store_txn *t, struct str owner, struct str jid,
                              struct str node);

/* ---- sessions: those that sleep (XEP-0198) ---- */
struct session_row {
    struct str resource, id;
    uint32_t max, in;            /* seconds it may sleep; h */
    int64_t until;               /* seconds since 1970 */
    struct str traits, presence; /* words of link/traits.h; data == NULL: not available */
};
struct store_txn *sessions_set(struct store_txn *t, struct str owner,
                               const struct session_row *row); /* of its resource */
/* Row: resource, max, in, until, traits, presence. */
void sessions_get(struct store *s, struct str owner, struct str id, store_fn fn, void *arg);
struct store_txn *sessions_delete(struct store_txn *t, struct str owner, struct str id);
/* Those of all owners whose time was over before then. */
struct store_txn *sessions_expire(struct store_txn *t, int64_t then);
/* Those of the owner whose id begins with that. */
struct store_txn *sessions_revoke(struct store_txn *t, struct str owner, struct str mark);
/* Of the owner's whose time is over, no more than `most` stay: those that ended last. */
struct store_txn *sessions_keep(struct store_txn *t, struct str owner, int64_t now, uint32_t most);

/* ---- mam, mam-prefs, mam-size, mam-key: the archive of messages (XEP-0313) ---- */
/* A message in somebody's archive. */
struct mam_side {
    uint64_t id; /* store_sequence: microseconds since 1970; 0: it is not kept there */
    uint64_t mark;
};
/* A message as it is kept, once, for who sent it and who got it. Nothing is NULL. */
struct mam_row {
    struct str from, from_resource, to, to_resource; /* bare JIDs: the owners, if they keep it */
    struct str stanza;                               /* the id that it was sent with */
    struct str xml;
    struct mam_side sent, received;
};
struct store_txn *mam_add(struct store_txn *t, const struct mam_row *row);
/* Of a request of one mam_add that is still held (store_commit_later): if it is the same message,
 * and not in its receiver's archive yet, it is now, and true is returned. */
bool mam_join(struct store_txn *t, const struct mam_row *row);
/* What a page is made of: ids between two that are not part of it. Those of one correspondent
 * (`with`) are found as far as MAM_INDEX_WITH goes. */
struct mam_range {
    uint64_t after, before;
    struct str with, resource; /* data == NULL: everybody; resource "" or NULL: whichever */
    bool back;                 /* from the end: descending */
};
/* Rows: id, mark, xml. */
void mam_page(struct store *s, struct str owner, const struct mam_range *range, uint32_t limit,
              store_fn fn, void *arg);
/* Rows: id, mark, sent; the newest first. */
void mam_newest(struct store *s, struct str owner, uint32_t limit, store_fn fn, void *arg);
/* Row: how many there are, at most `limit`. */
void mam_count(struct store *s, struct str owner, const struct mam_range *range, uint32_t limit,
               store_fn fn, void *arg);
/* Row: id, mark, xml, with, resource. */
void mam_get(struct store *s, struct str owner, uint64_t id, store_fn fn, void *arg);
struct mam_sought {
    struct str with;   /* bare JID */
    bool sent;         /* by the owner */
    struct str stanza; /* the id that it was sent with */
};
/* Row: id, xml of the newest one like that; old ones are not looked at, nor what MAM_INDEX_WITH has
 * not got. */
void mam_find(struct store *s, struct str owner, const struct mam_sought *what, store_fn fn,
              void *arg);
/* In the owner's archive alone, as also deletions are. */
struct store_txn *mam_replace(struct store_txn *t, struct str owner, uint64_t id, struct str xml);
struct store_txn *mam_delete(struct store_txn *t, struct str owner, uint64_t id);
struct store_txn *mam_delete_upto(struct store_txn *t, struct str owner, uint64_t id);
/* The same without the index: it goes, too. */
struct store_txn *mam_delete_all(struct store_txn *t, struct str owner);
/* Rows: id, size; ascending from `after` (exclusive). */
void mam_sizes(struct store *s, struct str owner, uint64_t after, uint32_t limit, store_fn fn,
               void *arg);
/* What was counted: bytes of the rows up to an id. Row: bytes, upto; no row: nothing yet. */
void mam_size_get(struct store *s, struct str owner, store_fn fn, void *arg);
struct store_txn *mam_size_set(struct store_txn *t, struct str owner, int64_t bytes, uint64_t upto);
/* Rows: owner; the first `limit` accounts behind one. */
void mam_owners(struct store *s, struct str after, uint32_t limit, store_fn fn, void *arg);
/* `always` and `never`: JIDs, a line each. */
struct store_txn *mam_set_prefs(struct store_txn *t, struct str owner, struct str standard,
                                struct str always, struct str never);
/* The key of this database, two numbers: made from these when there is none. */
struct store_txn *mam_make_key(struct store_txn *t, const uint64_t key[2]);
void mam_get_key(struct store *s, store_fn fn, void *arg); /* row: low, high */

/* ---- search-words, search-with, search-upto: the indexes over mam, of words (XEP-0431) and of
 * correspondents, which are brought up to date when somebody asks (sm/mam_index.h) ---- */
enum mam_index { MAM_INDEX_WORDS, MAM_INDEX_WITH, MAM_INDEXES };
/* Row: how far each goes, an id; no row: they are empty. */
void mam_index_upto(struct store *s, struct str owner, store_fn fn, void *arg);
/* The first write of a step; EXISTS from the commit when it was not indexed up to `from` exactly.
 */
struct store_txn *mam_index_advance(struct store_txn *t, enum mam_index index, struct str owner,
                                    uint64_t from, uint64_t upto);
/* A row has been added that may be older than what is indexed: all from there on is done again. */
struct store_txn *mam_index_rewind(struct store_txn *t, struct str owner, uint64_t id);
/* The correspondents of the rows behind `from`, up to and with `upto`. */
struct store_txn *mam_index_add_with(struct store_txn *t, struct str owner, uint64_t from,
                                     uint64_t upto);
/* Words. */
struct store_txn *mam_index_add(struct store_txn *t, struct str owner, uint64_t id,
                                struct str text);
struct store_txn *mam_index_delete(struct store_txn *t, struct str owner, uint64_t from,
                                   uint64_t upto); /* both included */
/* Correspondents, of rows that are about to go. */
struct store_txn *mam_index_delete_with(struct store_txn *t, struct str owner, uint64_t from,
                                        uint64_t upto);
/* Rows as of mam_page, of those that have all the words, which words_cut (xmpp/words.h) makes, as
 * it makes the text that is indexed. */
void mam_search(struct store *s, struct str owner, const struct mam_range *range, struct str words,
                uint32_t limit, store_fn fn, void *arg);
/* Row: how many there are, up to the limit. */
void mam_search_count(struct store *s, struct str owner, const struct mam_range *range,
                      struct str words, uint32_t limit, store_fn fn, void *arg);

/* ---- vacation-settings, vacation-answered ---- */
struct vacation_row {
    int64_t start, end; /* seconds since 1970; end is never 0 */
    struct str message;
};
void vacation_get(struct store *s, struct str owner, store_fn fn,
                  void *arg); /* row: start, end, message */
/* Nobody has been answered then. */
struct store_txn *vacation_set(struct store_txn *t, struct str owner,
                               const struct vacation_row *row);
struct store_txn *vacation_delete(struct store_txn *t, struct str owner);
/* Fails with EXISTS when `jid` has been answered since vacation_set, or `max` others. */
struct store_txn *vacation_answer(struct store_txn *t, struct str owner, struct str jid,
                                  uint32_t max);

#endif
