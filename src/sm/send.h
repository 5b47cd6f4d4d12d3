/* Send: how stanzas leave the session manager - to other users and servers through the router, to
 * our clients' c2s. */
#ifndef JACKDAW_SM_SEND_H
#define JACKDAW_SM_SEND_H

#include "sm/session.h"
#include "xmpp/stanza_error.h"

/* To a JID anywhere, by the domain of `to`, from a served domain. Shares stanza and JIDs. */
void send_route(struct sm *sm, struct stanza *s, struct jid *from, struct jid *to);
/* The same for somebody who waits: the promise (may be NULL) is shared, and kept when it has been
 * handled over there. */
void send_route_promised(struct sm *sm, struct stanza *s, struct jid *from, struct jid *to,
                         struct promise *promise);
/* The same with a packet whose from and to are set; moved. */
void send_packet(struct sm *sm, struct packet *p);
/* A stanza for a local user that belongs to another sm now; moved. */
void send_moved(struct sm *sm, struct packet *p);
/* To one session; `from` and `to` NULL keep the stanza's own. Shares. */
void send_session(struct session *session, struct stanza *s, struct jid *from, struct jid *to);
/* A carbon of that packet's message, in the name of the account. Shares. */
void send_copy(struct session *session, struct stanza *s, const struct packet *original);
/* A message from the user's queue, with its id in the ledger; the promise is shared. */
void send_stored(struct session *session, struct stanza *s, struct promise *promise,
                 uint64_t trace);
/* The same with the stanza and JIDs of a packet, which stays the caller's. */
void send_session_packet(struct session *session, const struct packet *p);

/* Answers a stanza with an error, to the session it came from or through the router; destroys the
 * packet. Does nothing else where an error must not be answered (RFC 6120 section 8.3.1). `text`
 * may be NULL. */
void send_error(struct sm *sm, struct session *session, struct packet *p,
                enum stanza_condition condition, const char *text);
/* As send_error, but the packet stays the caller's, who sees to its fate too. False: no error may
 * be sent. */
bool send_error_to(struct sm *sm, struct session *session, const struct packet *p,
                   enum stanza_condition condition, const char *text);
/* The condition for a failed write or read. */
enum stanza_condition send_condition(enum error e);

enum send_kind { SEND_MESSAGE, SEND_PRESENCE, SEND_IQ, SEND_UNKNOWN };
enum send_kind send_kind_of(const struct stanza *s);
/* A <delay/> (XEP-0203) in the name of one of our domains. */
bool send_is_our_delay(const struct sm *sm, const struct stanza *s, stanza_el el);
/* Marks a message as late, in the name of the domain `by`; nothing when it is marked already. */
void send_delay(struct sm *sm, struct packet *p, struct str by, int64_t since, const char *reason);
/* The root's type attribute. */
struct str send_type(const struct stanza *s);

#endif
