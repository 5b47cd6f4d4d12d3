/* Packet: what travels between components - an envelope and one stanza or one control element. The
 * wire form (wire.c) is the component protocol and the session protocol of jabberd2
 * (shared/jabberd2.md 1.2, 1.3). A packet has one owner; sending moves it. Stanza and JIDs inside
 * are shared references.
 */
#ifndef JACKDAW_LINK_PACKET_H
#define JACKDAW_LINK_PACKET_H

#include <stdbool.h>
#include <stdint.h>
#include "base/list.h"
#include "base/random.h"
#include "base/str.h"
#include "link/promise.h"
#include "xml/stanza.h"
#include "xmpp/jid.h"

/* A session's identity between c2s and sm: ours are 32 hex digits of 128 random bits, never reused;
 * jabberd2's are whatever it sends, so it is opaque text. */
struct session_id {
    uint8_t len; /* 0: none */
    char text[47];
};
void session_id_make(struct session_id *id, struct random *random);
bool session_id_set(struct session_id *id, struct str text); /* false when too long */
static inline struct str session_id_str(const struct session_id *id)
{
    return (struct str){id->text, id->len};
}

enum packet_kind {
    /* with an envelope: <route to= from=> around a payload */
    PACKET_STANZA,    /* a stanza; with session ids when between c2s and sm */
    PACKET_SESSION,   /* a session action between c2s and sm */
    PACKET_BROADCAST, /* <route type='broadcast' from=>: to every other component */
    PACKET_LOG,       /* <route type='log'>: a copy for a log sink */
    /* control between a component and the router; `name` says what about */
    PACKET_BIND,
    PACKET_UNBIND,
    PACKET_PRESENCE, /* router -> component: `name` came (up) or went */
    PACKET_THROTTLE,
};

enum session_action {
    SESSION_CREATE, /* c2s -> domain: a new account; answered CREATED */
    SESSION_CREATED,
    SESSION_DELETE, /* c2s -> domain: remove the user's data; answered DELETED */
    SESSION_DELETED,
    SESSION_START, /* c2s -> domain: target is the full JID; answered STARTED from the sm's own name
                    */
    SESSION_STARTED,
    SESSION_END, /* c2s -> sm; answered ENDED. Also sm -> c2s ENDED unasked: the sm ends the session
                  */
    SESSION_ENDED,
    SESSION_REPLACED, /* sm -> c2s: another session took the resource: stream error conflict */
    /* Ours, for XEP-0198; what belongs to them stands in `reason` (docs/decisions/0050-receipts.md)
     */
    SESSION_ENABLE, /* c2s -> sm; answered ENABLED: what comes behind that is counted */
    SESSION_ENABLED,
    SESSION_RESUME, /* c2s -> domain: a bare JID's session goes on here; answered RESUMED */
    SESSION_RESUMED,
    SESSION_STATE /* c2s -> sm, not answered: the client is "active" or "inactive" (XEP-0352) */
};
#define SESSION_LAST SESSION_STATE
const char *session_action_name(enum session_action a); /* "start" */

#define PACKET_BIND_MULTI                                                                          \
    1u /* multi='to': several components share the name, hashed by bare JID of the target */
#define PACKET_BIND_DEFAULT    2u /* <default/>: everything without a name of its own */
#define PACKET_BIND_LOG        4u /* <log/>: a copy of everything */
#define PACKET_BIND_MULTI_FROM 8u /* multi='from': hashed by the sender */
#define PACKET_BIND_RECEIPTS                                                                       \
    16u /* receipts='1': this component answers receipts; for others the router does */

/* Somebody keeps the stanza until he hears that it was handled (docs/decisions/0050-receipts.md;
 * component/receipts.h asks and answers). */
struct receipt {
    uint64_t number;    /* given by who waits; 0: nobody does */
    struct jid *origin; /* the name of who waits, on the router; NULL without a number */
    uint64_t answers;   /* one of the receiver's own: this packet is what became of it; 0: none */
    uint32_t place;     /* of the stanza in its stream, from 1 on, modulo 2^32 */
    int64_t since; /* a later copy: when the first one was sent (wall clock, ms); 0: the first */
};

struct packet {
    struct list node; /* of the queue it waits in */
    size_t queued;    /* packet_size when it was queued */
    enum packet_kind kind;
    /* The frame it came in, as long as nobody needed what is inside: then stanza, delay and the
     * JIDs are still NULL (link/frame.h). Only the router's end of a link hands over such a packet,
     * and whoever turns it around, copies it or reads it opens it before. */
    struct str sealed;
    int error; /* 0, or the error= attribute: a bounce (route) or refusal (bind) */

    struct str route_to, route_from; /* names of components or domains; point into `text` */
    struct str name;                 /* bind, unbind, presence; points into `text` */
    unsigned bind_flags;
    bool up;          /* presence */
    struct str nodes; /* presence: who bound it, when several share it: names with spaces between;
                         bind: who did before the router was lost; into `text` */

    /* payload */
    struct stanza *stanza; /* PACKET_STANZA; also a bounced one */
    struct jid *from, *to; /* when non-NULL they replace the stanza's own attributes */
    struct stanza *delay;  /* optional: one more child (a <delay/> or the like) to add at the end */
    struct session_id c2s, sm;  /* session ids; len 0 when absent */
    enum session_action action; /* PACKET_SESSION */
    struct jid *target;         /* PACKET_SESSION */
    struct session_id request;  /* PACKET_SESSION: id= of the request, echoed in the answer */
    bool failed; /* PACKET_SESSION: sc:failed='1'; the request comes back: its own action (START),
                    and failed */
    struct str reason; /* PACKET_SESSION failed: a stanza or stream condition's element name; into
                          `text` */

    struct receipt receipt;
    /* Inside one component: who waits for what becomes of the stanza. It does not travel; whoever
     * sends the packet on takes it off before (component/receipts.h). */
    struct promise *promise;

    uint64_t born;  /* loop_now when it entered the server: for latency */
    uint64_t trace; /* the message's id in the ledger (link/ledger.h); 0: it has none */
    char text[];    /* storage of the strings above */
};

/* The strings are copied; any may be STR_NULL. What is put into the pointers of a packet belongs to
 * it and is unref'ed with it; `target` here is shared: the packet takes a reference of its own. */
struct packet *packet_create(enum packet_kind kind, struct str route_to, struct str route_from);
struct packet *packet_create_control(enum packet_kind kind, struct str name, unsigned bind_flags);
/* PACKET_BIND; `nodes` may be STR_NULL. */
struct packet *packet_create_bind(struct str name, unsigned flags, struct str nodes);
/* PACKET_PRESENCE; `nodes` may be STR_NULL. */
struct packet *packet_create_presence(struct str name, bool up, struct str nodes);
struct packet *packet_create_session(struct str route_to, struct str route_from,
                                     enum session_action action, struct jid *target,
                                     struct str reason);
/* A sealed one, around a copy of the frame's bytes. */
struct packet *packet_create_sealed(enum packet_kind kind, struct str frame);
void packet_destroy(struct packet *p); /* NULL is fine */
/* A copy for another receiver: shares stanza, JIDs and the promise, but asks for no receipt. */
struct packet *packet_copy(const struct packet *p);
/* Turns a route around: swaps names, sets error. For the router's bounces. The packet stays the
 * same object. The stanza inside, its from and to, and the session ids stay as they were sent. */
void packet_bounce(struct packet *p, int error);
/* The bytes it would roughly take: what bounded queues count. */
size_t packet_size(const struct packet *p);
/* Writes the payload as it must leave towards a client or server (from, to, delay applied). */
size_t packet_write_size(const struct packet *p);
size_t packet_write_to(const struct packet *p, char *out);
/* The same over a stamp of the caller's (its xmlns and extra; from and to come from the packet). */
size_t packet_payload_size(const struct packet *p, const struct stanza_stamp *base);
size_t packet_payload_write(const struct packet *p, const struct stanza_stamp *base, char *out);

#endif
