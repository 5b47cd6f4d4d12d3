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
#define MAM_SECOND UINT64_C(1000000) /* of a time */
#define MAM_MS     UINT64_C(1000)
void mam_id_write(struct mam_id id, char out[MAM_ID_LEN]); /* no NUL */
bool mam_id_read(struct str text, struct mam_id *ret);     /* false: none of ours */
/* From the first two columns of a row of the archive. */
struct mam_id mam_id_of_row(const struct store_rows *rows, size_t row);
/* Hashes of what stays the same wherever a message goes, with the key of the marks. */
struct mam_face {
    uint64_t owner, from, id, body;
    uint64_t since; /* an id's time is not before that; 0: whenever */
    bool has_id;    /* of its sender's */
    bool again;     /* its sender's server says that it comes again: mam_abroad.c */
};
struct mam_face mam_face_of(const struct user *user, struct str from, const struct stanza *s);
/* A new one for a message in the user's archive. */
struct mam_id mam_id_make(const struct user *user, const struct mam_face *face);
/* The id that a message from there bears in the user's name; time 0 when it has none of ours. */
struct mam_id mam_id_of(const struct user *user, struct str from, const struct stanza *s);
/* Is the id, time 0 never, that of this message? */
bool mam_id_fits(const struct user *user, struct mam_id id, const struct mam_face *face);
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
/* XEP-0313 section 6.1.1, XEP-0334, XEP-0441: does it belong into the archive of the user, who
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

/* The user has sent it, or gets it. */
void mam_write(struct user *user, const struct packet *p, const struct mam_face *face,
               struct mam_id id, bool sent);
/* It is not to be written after all, if it has not been; time 0: nothing of the user's is. */
void mam_unwrite(struct user *user, uint64_t time);
void mam_write_start(struct sm *sm);
void mam_write_stop(struct sm *sm);

/* --- mam_recent.c: see there --- */

#define MAM_DOUBT_MS 300000u /* after a start, or after another component has gone */
#define MAM_SURE_ID  8u      /* a shorter id may be a client's counter, which has begun anew */

/* We have started, or another component has gone: messages may come that are archived already. */
void mam_recent_watch(struct sm *sm);
void mam_recent_load(struct user *user); /* at PATH_USER_LOAD */
void mam_recent_forget(struct user *user);
/* The id that the message had when it came before; time 0: it has not come. Without an id of its
 * sender's one is taken once: three times "ok" stay three. *ret_there: its row is in the archive;
 * else it may be missing. */
struct mam_id mam_recent_take(struct user *user, const struct packet *p,
                              const struct mam_face *face, bool sent, bool *ret_there);
/* It was not there, and is now: it may come from the other side, too, when it has come again - its
 * sender's c2s and the outbox may both have had it. */
void mam_recent_note(struct user *user, const struct packet *p, struct mam_id id, bool sent);

/* --- mam_former.c: see there --- */

#define MAM_NOTES 65536u /* ids of a former life that are known; a message has two at most */

void mam_former_start(struct sm *sm);
void mam_former_stop(struct sm *sm);
/* Before anybody sees the id. */
void mam_former_note(const struct user *user, const struct packet *p, const struct mam_face *face,
                     struct mam_id id, bool sent);
/* The id that this message had in a former life; time 0: none is known. For mam_recent_take. */
struct mam_id mam_former_take(const struct user *user, const struct packet *p,
                              const struct mam_face *face, bool sent);
/* Has a former life given the user this message with that id, so that its row may be missing? */
bool mam_former_has(const struct user *user, const struct mam_face *face, struct mam_id id);
/* Is it an id of a former life, of whatever message? */
bool mam_former_knows(const struct sm *sm, struct mam_id id);

/* --- mam_abroad.c: see there --- */

/* The id that a message from another server got when it came before, in this life; time 0: none.
 * Says in the face whether it comes again. */
struct mam_id mam_abroad_take(const struct user *user, const struct packet *p,
                              struct mam_face *face);
/* The user has got it, and this is its id. */
void mam_abroad_note(const struct user *user, const struct packet *p, const struct mam_face *face,
                     struct mam_id id);
void mam_abroad_stop(struct sm *sm);

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
/* A row is written with an id of long ago: whoever has been shown what is around it has not been
 * shown this. */
void mam_unsee(struct user *user, uint64_t time);
/* XEP-0424 section 4: a message just archived takes back another one. */
void mam_retract(struct user *user, const struct packet *p, struct jid *with, bool sent);

#endif
