/* Flight: a stanza on its way to another component, kept until that has said that it was handled.
 * "Every hop keeps what has not been confirmed": what is lost with a router, a c2s or an s2s is
 * sent again, in order; what nobody confirms for sm.outbox_after is written to the outbox, and then
 * whoever waits for it is told, because from then on it survives us, too (reliability.md C.1 a).
 *
 * Only stanzas that somebody waits for fly like this, and all that go to a session with XEP-0198 -
 * there the flights of a session are its unacknowledged stanzas - or to one whose c2s has to come
 * back after a lost link: a router that does not know that c2s yet would turn them round. And every
 * message to another server, which may be in s2s' queue for long: what dies with s2s goes to the
 * next one (reliability.md C.2), but is never written to the outbox when nobody waits for it.
 */
#ifndef JACKDAW_SM_FLIGHT_H
#define JACKDAW_SM_FLIGHT_H

#include "sm/session.h"

struct flight {
    struct list node;  /* in its lane, session->flights or peer->orphans, in the order sent */
    struct list young; /* in flights->young: somebody waits, and it is not in the outbox */
    uint64_t number;
    uint64_t since;          /* loop_now */
    int64_t sent;            /* wall clock, ms */
    struct packet *packet;   /* what was sent, with the promise of who waits */
    struct session *session; /* it goes to; NULL: through the router by its `to` */
    struct jid *owner;       /* in the outbox */
    struct promise *row;     /* in the outbox, with other copies of the message; NULL: not there */
    bool writing;            /* the row is not committed yet */
    bool tried;              /* it has left once */
    bool guarded;            /* nobody waits for it: flight_guards */
    bool routed;             /* through the router: its end is the message's fate */
    bool counted;            /* among what its session has unacknowledged: sent after <enable/> */
};

/* A message that nobody waits for is to fly all the same: to another server, or while the outbox is
 * read. */
bool flight_guards(const struct sm *sm, const struct packet *p);
/* Through the router, to any address; p is moved, its promise waits for the receipt. */
void flight_route(struct sm *sm, struct packet *p);
/* One from the outbox, of a former life or another's: it takes its turn in its lane, or waits until
 * flight_restored. p and the row are moved. */
void flight_restore(struct sm *sm, struct packet *p, struct jid *owner, struct promise *row,
                    int64_t sent);
/* They take their places in the lanes, before everything that has come in this life. */
void flight_restored(struct sm *sm);
/* To a session's c2s; p is complete, and moved. */
void flight_deliver(struct session *session, struct packet *p);

struct flight *flight_find(struct sm *sm, uint64_t number); /* NULL: it is over */
/* The number came back. */
void flight_handled(void *sm, uint64_t number);
/* p says what became of one of ours (receipt.answers): it takes over who waits for that. False: we
 * do not wait for it any more; drop p. */
bool flight_answered(struct sm *sm, struct packet *p);
/* p is one of ours that the router turned round. True: it flies on (and p is destroyed). False: it
 * is over, and p has the promise. */
bool flight_bounced(struct sm *sm, struct packet *p);

/* The session has gone to sleep (acks.h). */
void flight_sleep(struct session *session);
/* Our link, which is lost, gave back what was to go to this session: it waits for it. p is moved.
 */
void flight_hold(struct session *session, struct packet *p);
/* All of a session once more, to the c2s that it has now. */
void flight_repeat(struct session *session);
/* The session has ended. What its client did not acknowledge goes where RFC 6121 section 8.5 says;
 * for what went to a client without XEP-0198 its c2s still answers. */
void flight_end(struct session *session);
/* A c2s is gone: what it had not answered for. */
void flight_peer_gone(struct sm *sm, struct peer *peer);

/* --- comings and goings --- */
void flight_peer(struct sm *sm, struct str name, bool up);
/* There was one, which will come back. */
bool flight_s2s_lost(const struct sm *sm);
/* This component says that it is an s2s. */
void flight_s2s(struct sm *sm, struct str name);
void flight_link(struct sm *sm, bool up);
/* Everything of former lives has been read. */
void flight_go(struct sm *sm);
void flight_init(struct sm *sm);
void flight_finish(struct sm *sm);

#endif
