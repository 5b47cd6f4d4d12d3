/* Mam: the archive of messages (XEP-0313) and their stable ids (XEP-0359).
 *
 * An id is the message's place in time and a mark: a keyed hash of the archive's owner, that time,
 * sender, id and body. So ids sort, cannot be guessed, and a message that comes round again - from
 * the outbox, from a client that has gone, from another sm - is known by the id it bears, which
 * nobody else can have put there.
 */
#ifndef JACKDAW_SM_MAM_H
#define JACKDAW_SM_MAM_H

#include "sm/session.h"

#define MAM_ID_LEN 32u
struct mam_id {
    uint64_t time; /* microseconds since 1970, growing (store_sequence); 0: no id */
    uint64_t mark;
};
#define MAM_SECOND UINT64_C(1000000)                       /* of a time */
void mam_id_write(struct mam_id id, char out[MAM_ID_LEN]); /* no NUL */
bool mam_id_read(struct str text, struct mam_id *ret);     /* false: none of ours */
/* From the first two columns of a row of the archive. */
struct mam_id mam_id_of_row(const struct store_rows *rows, size_t row);
/* A new one for a message in the user's archive. */
struct mam_id mam_id_make(const struct user *user, struct str from, const struct stanza *s);
/* The id that a message from there bears in the user's name; time 0 when it has none of ours. */
struct mam_id mam_id_of(const struct user *user, struct str from, const struct stanza *s);
/* Is the id, time 0 never, that of this message from there? */
bool mam_id_fits(const struct user *user, struct mam_id id, struct str from,
                 const struct stanza *s);
/* Is this child of a message a <stanza-id/> that others may not have put there: in the name of a
 * domain or account of ours, and not made by us for that user (NULL: for nobody)? */
bool mam_id_forged(const struct sm *sm, const struct user *user, struct str from,
                   const struct stanza *s, stanza_el el);
/* Adds the element. */
void mam_id_add(struct builder *b, struct str by, struct mam_id id);

/* --- what is kept: mam_rules.c --- */

/* What a user wants to be kept (XEP-0441 section 2). */
enum mam_default { MAM_ALWAYS, MAM_ROSTER, MAM_NEVER, MAM_DEFAULTS };
struct mam_prefs {
    enum mam_default standard;
    char *always, *never; /* JIDs, a line each */
};
extern const char *const mam_default_names[MAM_DEFAULTS];
bool mam_default_read(struct str text, enum mam_default *ret);
/* The user's prefs become these; the strings are copied. */
void mam_set_user_prefs(struct user *user, enum mam_default standard, struct str always,
                        struct str never);
void mam_prefs_destroy(struct mam_prefs *prefs); /* NULL is fine */
/* The user's, or else the configuration's. */
enum mam_default mam_standard(const struct user *user);
/* XEP-0313 section 5.1.1, XEP-0334, XEP-0441: does it belong into the archive of the user, who
 * exchanges it with `with`? */
bool mam_keeps(const struct user *user, const struct stanza *s, const struct jid *with);

/* --- mam_ends.c --- */

struct mam_ends {
    struct mam_id oldest, newest; /* time 0: the archive is empty */
};
/* CANCELLED: the instance ends. */
typedef void mam_ends_fn(struct user *user, void *arg, enum error e, const struct mam_ends *ends);
/* Where the user's archive begins and ends. `fn` is called once, in a later turn, the user held. */
void mam_ends(struct user *user, mam_ends_fn *fn, void *arg);
/* " ID STAMP ID STAMP", of an empty archive nothing; at most MAM_ENDS_TEXT bytes into `out`. */
#define MAM_ENDS_TEXT 128
struct str mam_ends_write(const struct mam_ends *ends, char out[MAM_ENDS_TEXT]);

/* --- mam_write.c: see there --- */

void mam_write(struct user *user, const struct packet *p, struct mam_id id, struct jid *with,
               bool sent);
/* It is not to be written after all, if it has not been; time 0: nothing of the user's is. */
void mam_unwrite(struct user *user, uint64_t time);
void mam_write_start(struct sm *sm);
void mam_write_stop(struct sm *sm);

/* --- mam_recent.c: see there --- */

/* We have started, or another component has gone: messages may come that are archived already. */
void mam_recent_watch(struct sm *sm);
void mam_recent_load(struct user *user); /* at PATH_USER_LOAD */
void mam_recent_forget(struct user *user);
/* The id under which the message is there; time 0: it is not. Without an id of its sender's a row
 * is taken once: three times "ok" stay three. */
struct mam_id mam_recent_take(struct user *user, const struct packet *p, bool sent);
/* It was not there, and is now: it may come from the other side, too, when it has come again - its
 * sender's c2s and the outbox may both have had it. */
void mam_recent_note(struct user *user, const struct packet *p, struct mam_id id, bool sent);

/* --- features/mam.c --- */

bool mam_enabled(const struct sm *sm);
/* A message of the user's own client, to somebody else. Its id there, time 0 when it is not kept:
 * for the user's other clients alone (section 3.5). */
struct mam_id mam_sent(struct user *user, struct packet *p);
/* A message that the user is about to get, before any copies are made: they bear its id. */
void mam_received(struct user *user, struct packet *p);
/* It has been refused after all. */
void mam_withdraw(struct user *user, const struct packet *p);
/* A message from the offline queue: has the session got it from the archive already? */
bool mam_has_seen(const struct session *session, const struct stanza *s);
/* XEP-0424 section 4: a message just archived takes back another one. */
void mam_retract(struct user *user, const struct packet *p, struct jid *with, bool sent);

#endif
