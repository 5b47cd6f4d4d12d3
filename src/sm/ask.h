/* Ask: requests of a session manager to the other components of this server, and their answers:
 * stanzas in NS_INTERNAL, which no stranger's stanza can be in (it is in jabber:client, whatever
 * was written). Accounts are asked of a c2s, what is in memory for a user of the sm that has it,
 * and what all have together of every sm.
 *
 * Request: any element with id=. Answer: <answer id= [error=stanza condition]>...</answer>.
 */
#ifndef JACKDAW_SM_ASK_H
#define JACKDAW_SM_ASK_H

#include "sm/session.h"

#define ASK_MAX        1000u  /* questions open at a time */
#define ASK_TIMEOUT_MS 10000u /* then the answer is NULL */
#define ASK_ALL_MS     2000u  /* the same for the slowest of all sm */

struct question;

/* `answer` is borrowed; NULL when there is none. For ask_all once for each that came, then with
 * NULL. Always in a later turn; with NULL when the instance ends. */
typedef void (*ask_fn)(void *arg, const struct stanza *answer);

/* A question: begun, its request opened and filled, sent by one of those below, which take the
 * builder. */
struct question *ask_begin(struct sm *sm, ask_fn fn, void *arg);
struct builder *ask_open(const struct question *q, const char *name, const char *action);
/* The session's c2s, or with NULL any. */
void ask_c2s(struct question *q, const struct session *session, struct builder *b);
/* A component by its own name. */
void ask_component(struct question *q, struct str name, struct builder *b);
/* The sm that has the user; the user is loaded there. */
void ask_user(struct question *q, struct jid *jid, struct builder *b);
/* Every other sm of the domain. */
void ask_all(struct question *q, struct str domain, struct builder *b);
/* SESSION_CREATE or SESSION_DELETE, as a c2s would: the answer is <answer/>, with an error or
 * without. */
void ask_session(struct question *q, enum session_action action, struct jid *jid);
/* The answer to one of those came. */
void ask_session_answered(struct sm *sm, const struct packet *p);

/* For those who answer: opens the answer to a request, and sends it (takes the builder). `error`
 * may be NULL. */
struct builder *ask_answer_open(const struct packet *request, const char *error);
void ask_answer_send(struct sm *sm, const struct packet *request, struct builder *b);

/* STANZA_ERR_NONE for an answer without error. NULL: internal-server-error. */
enum stanza_condition ask_condition(const struct stanza *answer);

#endif
