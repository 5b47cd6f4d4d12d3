/* Facts: makes what a person has from values, and reads the values back. The one place that knows
 * how each kind of fact is written; see person_kinds.def. Texts are cleaned of what XML cannot
 * hold.
 *
 * facts_add_* return false, with nothing added, when a value cannot be carried: an address that is
 * no JID, a name that is too long, a person that would have too much.
 */
#ifndef JACKDAW_MOVE_FACTS_H
#define JACKDAW_MOVE_FACTS_H

#include "move/person.h"
#include "store/accounts.h"
#include "store/users.h"

/* `created` and the other times are seconds since 1970; below 0: not known. */
bool facts_add_account(struct person *p, int64_t created, bool disabled);
bool facts_add_stored_password(struct person *p, struct str value);
bool facts_add_scram(struct person *p, const struct scram_keys *keys);
bool facts_add_active(struct person *p, int64_t since);
bool facts_add_last(struct person *p, int64_t time, struct str status);
/* jid (prepared here), name, to, from, ask and approved of the row count. */
bool facts_add_roster(struct person *p, const struct roster_row *row, const struct str *groups,
                      size_t group_count);
/* `presence` may be NULL; borrowed. */
bool facts_add_request(struct person *p, struct str from, const struct stanza *presence);
bool facts_add_vcard(struct person *p, struct stanza *card); /* takes the reference */
/* Element `el` of `s`, and its siblings behind it of the same name and namespace. */
bool facts_add_private(struct person *p, const struct stanza *s, stanza_el el);
/* Items of one list, all rows with its name; sorted here. Orders that occur twice are made
 * different. */
bool facts_add_privacy(struct person *p, struct str list, struct privacy_row *items, size_t count);
bool facts_add_privacy_default(struct person *p, struct str list);
bool facts_add_vacation(struct person *p, const struct vacation_row *row);
bool facts_add_disco(struct person *p, const struct disco_row *row);
bool facts_add_motd(struct person *p, const struct stanza *message, int64_t time);
bool facts_add_motd_seen(struct person *p, int64_t time);
/* In the order of their adding. Each gets an id in the queue from the time of its <delay/>, larger
 * than the one before, so that the same message has the same id at every import. */
bool facts_add_message(struct person *p, struct stanza *message); /* takes the reference */
bool facts_add_queued(struct person *p, uint64_t id, struct stanza *message); /* the same */
bool facts_add_status(struct person *p, const struct status_row *row);
bool facts_add_verify(struct person *p, const struct verify_row *row);
bool facts_add_published(struct person *p, const struct published_row *row);
bool facts_add_published_group(struct person *p, struct str name);

/* What a privacy item can be about, in the order of the bits of privacy_row.block. */
enum { FACTS_PRIVACY_KINDS = 4 };
extern const char *const facts_privacy_kinds[FACTS_PRIVACY_KINDS];

/* --- back; texts are views into the fact --- */
int64_t facts_time(const struct fact *f, struct str attribute); /* -1: not known */
bool facts_disabled(const struct fact *f);
bool facts_scram(const struct fact *f, struct scram_keys *ret);
/* `groups` takes up to `max`; jid, name, to, from, ask, approved are filled in. Returns how many
 * groups. */
size_t facts_roster(const struct fact *f, struct roster_row *ret, struct str *groups, size_t max);
/* The items of a list; the caller frees them. */
struct privacy_row *facts_privacy(const struct fact *f, size_t *ret_count);
void facts_vacation(const struct fact *f, struct vacation_row *ret);
void facts_disco(const struct fact *f, struct disco_row *ret);
uint64_t facts_id(const struct fact *f); /* of a message */
void facts_status(const struct fact *f, struct status_row *ret);
void facts_verify(const struct fact *f, struct verify_row *ret);
void facts_published(const struct fact *f, struct published_row *ret);
struct str facts_text(const struct fact *f);
struct str facts_attr(const struct fact *f, const char *name);
/* The element with its namespace, as our store keeps it; free() its data. */
struct str facts_whole(const struct stanza *s);

#endif
