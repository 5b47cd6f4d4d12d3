/* IQ: requests that the server answers itself - for its domains and for its accounts (RFC 6121
 * section 8.5.2). */
#ifndef JACKDAW_SM_IQ_H
#define JACKDAW_SM_IQ_H

#include "sm/session.h"
#include "xmpp/stanza_error.h"

struct iq {
    struct sm *sm;
    struct user *user;       /* of the account addressed; NULL for a domain */
    struct session *session; /* of the sender, when it came straight from a client of ours */
    struct packet *packet;   /* the request */
    stanza_el payload;       /* its child */
    bool set;
    /* Account only: the sender is the user, or a contact with a subscription to the user's
     * presence. Never set for an account that does not exist, so that both look alike
     * (reliability.md B 31). */
    bool owner, entitled;
    bool later; /* after iq_take: the sender's session is looked up when the answer goes out */
};

/* A stanza of kind iq for a served domain (`user` NULL) or a bare JID. The packet is taken. */
void iq_handle(struct sm *sm, struct user *user, struct session *session, struct packet *p);
/* True for a request to a full JID that this sender may not make; the same whether the account is
 * there or not. */
bool iq_forbidden(struct user *user, struct packet *p);
/* True when the root is what RFC 6120 section 8.2.3 asks for: id, known type, one child for get and
 * set. */
bool iq_valid(const struct stanza *s);

/* The answer: an empty result, or one opened for a payload. */
void iq_result(struct iq *iq);
struct builder *iq_result_open(struct iq *iq);
void iq_result_send(struct iq *iq, struct builder *b);
/* Any answer made by hand; takes the reference. */
void iq_send(struct iq *iq, struct stanza *result);

/* --- for handlers that answer later --- */

/* The request as the handler's own, its user held; the one given has no packet any more. */
struct iq *iq_take(struct iq *iq);
/* The session of our client that asked, wherever its c2s has it now; NULL when it has gone, or when
 * somebody else asked. */
struct session *iq_session(const struct iq *iq);
/* The end of one that was taken: with a condition an error, else nothing (more) is sent. */
void iq_finish(struct iq *iq, enum stanza_condition condition);
/* Runs a handler for a request that was taken before; it may be taken again. */
void iq_again(struct iq *iq, enum stanza_condition (*fn)(struct iq *iq));
/* Takes the request and commits: then an empty result, or the error of the write. */
void iq_commit(struct iq *iq, struct store_txn *t);

#endif
