/* Fate: what becomes of the messages that the session manager takes on. Each is counted where it
 * comes in and where its fate is decided, and what waits is counted in the lists where it waits: so
 * whether the account balances says whether a message has been lost in here (`jackdaw status`;
 * docs/decisions/0082-balance.md). Beside that the decisions are noted in the ledger
 * (link/ledger.h).
 *
 * A message is a packet with an id of the ledger. Copies - carbons, results from the archive, what
 * the server says to one session - have no account, nor does anything but messages.
 */
#ifndef JACKDAW_SM_FATE_H
#define JACKDAW_SM_FATE_H

#include <jansson.h>
#include "link/ledger.h"

struct sm;

/* Where it came from. */
#define FATE_SOURCES(X)                                                                            \
    X(CLIENT, "from_clients") /* of ours */                                                        \
    X(ROUTER, "from_router")  /* other components, other session managers */                       \
    X(SERVER, "from_server")  /* the session manager itself: errors, vacation messages, ... */     \
    X(RETURNED, "returned")   /* had been delivered or sent on, and came back */                   \
    X(READ, "read")           /* from the outbox of a former life, or a queue that goes */
enum fate_source {
#define X(id, name) FATE_FROM_##id,
    FATE_SOURCES(X)
#undef X
        FATE_SOURCE_COUNT
};

#define FATES(X)                                                                                   \
    X(DELIVERED, "delivered") /* to a session at least, or to the server itself */                 \
    X(STORED, "stored")                                                                            \
    X(SENT_ON, "sent_on") /* to the router, for another component, server or session manager */    \
    X(BOUNCED, "bounced")                                                                          \
    X(DROPPED, "dropped")
enum fate {
#define X(id, name) FATE_##id,
    FATES(X)
#undef X
        FATE_COUNT
};

enum fate_reason {
#define X(id, name, text) FATE_REASON_##id,
#include "sm/fate.def"
#undef X
    FATE_REASON_COUNT
};

struct fate_account {
    uint64_t taken[FATE_SOURCE_COUNT], ended[FATE_COUNT], dropped[FATE_REASON_COUNT];
    uint64_t writing; /* messages whose fate a write decides that is under way */
};

/* A message comes in; it gets its id when it has none. Harmless for everything else, as all below.
 */
void fate_take(struct sm *sm, struct packet *p, enum fate_source source);
/* It is decided. For the ledger somebody else notes it. */
void fate_end(struct sm *sm, const struct packet *p, enum fate fate);
/* It ends here; destroys the packet. */
void fate_drop(struct sm *sm, struct packet *p, enum fate_reason reason);
/* It was for the server itself, which has done what it asks; destroys the packet. */
void fate_obeyed(struct sm *sm, struct packet *p);
/* A write decides; and has decided: the fate follows. */
void fate_writing(struct sm *sm, const struct packet *p, bool more);
/* Notes something in the ledger. */
void fate_note(struct sm *sm, enum ledger_event e, const struct packet *p, struct str to,
               struct str detail);

/* For `jackdaw status`: accepted, the fates, in_flight, sources, reasons. */
json_t *fate_balance(const struct sm *sm);

#endif
