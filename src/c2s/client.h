/* Client: one client's stream, from accept to the last byte. client.c owns its life; the other
 * client_*.c files each do one part of its work. Inside c2s/ only.
 *
 * A client that ends (client_close, client_error, client_lost) is taken out of every table at once
 * and freed at the end of the turn, so its caller may still look at it: `state` is then
 * STREAM_CLOSED.
 */
#ifndef JACKDAW_C2S_CLIENT_H
#define JACKDAW_C2S_CLIENT_H

#include "base/bucket.h"
#include "c2s/address.h"
#include "c2s/c2s.h"
#include "xmpp/stanza_error.h"
#include "xmpp/stream.h"

/* Where the other half of the session is. */
enum session_phase {
    SESSION_NONE,     /* not bound */
    SESSION_WAITING,  /* no sm to ask at the moment: in c2s->waiting */
    SESSION_STARTING, /* asked: in c2s->starting */
    SESSION_ATTACHED  /* started: in session_manager->clients */
};

/* Why a client is not being read: bits of `paused`. */
enum client_pause {
    CLIENT_PAUSE_BUSY = 1 << 0,    /* an answer must come first (account, thread, bind) */
    CLIENT_PAUSE_RATE = 1 << 1,    /* faster than c2s.rate */
    CLIENT_PAUSE_LINK = 1 << 2,    /* the router does not keep up */
    CLIENT_PAUSE_BACKLOG = 1 << 3, /* too much waits for an sm that is away */
    CLIENT_PAUSE_ACKS = 1 << 5,    /* too much of it is not handled (XEP-0198) */
    CLIENT_PAUSE_OUTPUT = 1 << 4   /* it does not read its own answers */
};

/* A session manager's own name on the router, with the sessions that are there. */
struct session_manager {
    struct list clients; /* phase_node */
    size_t count;
    size_t len;
    char name[];
};

/* What a stream needs only until a resource is bound. Survives its client while a thread or the
 * store works for it. */
struct negotiation {
    struct list node;      /* in c2s->logins while `awaiting` */
    struct c2s *c2s;       /* NULL when the instance went away */
    struct client *client; /* NULL when the client went away */
    struct sasl *sasl;     /* the exchange under way */
    struct stanza
        *request; /* an <auth/> that must wait; later the bind iq that is not answered yet */
    struct loop_timer delay; /* until a failure may be told, or an <auth/> looked at */
    struct loop_work work;
    struct jid *from;       /* bare: who the stream header says it is; NULL: it does not */
    struct sasl2 *sasl2;    /* the exchange is one of XEP-0388; NULL: it is not */
    unsigned offered;       /* mechanisms announced on this stream */
    unsigned sasl2_offered; /* the same in XEP-0388 */
    unsigned lacking;       /* what the account of `from` has no keys for */
    unsigned tokens;        /* and those by token (XEP-0484) */
    uint8_t failures;       /* of logins */
    uint8_t register_failures;
    uint8_t fail; /* enum sasl_failure to be told when `delay` fires; NONE: look at `request` */
    bool awaiting, disabled, renamed;
};

/* Stanzas that came before they could be worked on. */
struct backlog {
    struct list stanzas;
    struct list
        *returned; /* the last of those that came back undelivered; they stand before the others */
    size_t bytes;
    struct session_id old; /* of the session that was lost, until the new one has started: what
                              comes back bears it */
    bool closing;          /* </stream> came behind them */
};

struct registration;
struct sasl2;
struct client_acks;

struct client {
    struct c2s *c2s;
    struct list node;       /* c2s->clients, then c2s->closed */
    struct list phase_node; /* c2s->unauthenticated, then by `phase` */
    struct list link_node;  /* c2s->blocked */
    struct list rate_node;  /* c2s->throttled */
    struct conn *conn;      /* NULL once closed */
    struct parser *parser;
    struct address *address;
    const char *domain;                /* one of c2s->domains; NULL before the header */
    struct negotiation *negotiation;   /* until bound */
    struct registration *registration; /* while a request of XEP-0077 is being worked on */
    struct backlog *backlog;
    struct jid *jid;     /* bare when authenticated, full when bound */
    char *lang;          /* xml:lang of its stream header; NULL: it had none */
    struct jid *last_to; /* most clients write to the same address many times */
    struct stanza
        *presence; /* the last broadcast one, while available: to be repeated at another sm */
    struct session_manager *manager; /* when attached */
    struct client_acks *acks;        /* XEP-0198; NULL: not asked for */
    struct loop_timer timer;         /* limit of the negotiation; then keepalive */
    uint64_t last_input;             /* loop_now: any byte counts */
    uint64_t since;        /* loop_now: of the start asked for, or of the loss of the sm */
    uint64_t lost_at;      /* loop_now when the sm went; 0 when attached or never bound */
    struct bucket bytes;   /* that it may still send */
    uint64_t delivered;    /* bytes of stanzas ever queued for it */
    uint64_t stanzas;      /* that it sent */
    uint64_t trace;        /* of the stanza that is being sent once more; 0: it is a new one */
    uint64_t slow_since;   /* loop_now when more than c2s.max_queue was found and nothing had moved;
                              0: not slow */
    uint64_t slow_drained; /* bytes that had left by then */
    struct session_id id, sm;
    enum stream_state state;
    uint8_t phase;  /* enum session_phase */
    uint8_t traits; /* bits of link/traits.h: what goes on at another sm, or begins with the session
                     */
    uint8_t paused; /* enum client_pause bits */
    bool anonymous; /* XEP-0175: the account ends with the session */
    bool direct_tls, tls, header_sent, in_feed, pinged, draining;
    bool has_device;          /* it said which one it is (XEP-0388) */
    unsigned char device[16]; /* the UUID */
    bool sm_counts;           /* its sm knows receipts: XEP-0198 is possible */
    bool ends;                /* the session ends with the stream, and cannot be resumed */
};

/* --- client.c: life --- */
void client_accept(struct c2s *s, struct conn *conn, bool direct_tls);
/* The one place where the state changes. */
void client_set_state(struct client *c, enum stream_state state, const char *cause);
/* Answers </stream:stream>, ends the session, closes. */
void client_close(struct client *c, const char *cause);
/* Ends the stream with an error (RFC 6120 section 4.9); `text` for people, may be NULL. */
void client_error(struct client *c, enum stream_condition condition, const char *text);
/* With an application-specific condition, as text (section 4.9.4). */
void client_error_app(struct client *c, enum stream_condition condition, const char *text,
                      struct str app);
/* Ends without a word: the connection is gone or of no use. */
void client_lost(struct client *c, const char *cause);
void client_pause(struct client *c, enum client_pause why);
void client_resume(struct client *c, enum client_pause why);
/* Authenticated: frees what belongs to strangers, raises the limits. `user` is a prepared
 * localpart. */
bool client_authenticated(struct client *c, struct str user);
void client_write(struct client *c, struct str bytes);
void client_write_buffer(struct client *c, struct buffer *out); /* and finishes it */
void client_write_stanza(struct client *c, const struct stanza *s);
/* Sends the reply made by stanza_error_reply or the like, if any, and forgets it. */
void client_reply(struct client *c, struct stanza *reply);
/* The error for `s`, in the name of whom it was sent to (or of the server). */
void client_refuse(struct client *c, const struct stanza *s, enum stanza_condition condition,
                   const char *text);
struct log client_log(const struct client *c);
void client_rate_tick(struct loop_timer *timer); /* c2s->rate_timer */
void client_unblock(struct c2s *s);
void client_reap(struct loop_task *task);

/* --- client_stream.c --- */
extern const struct parser_events client_stream_events;
void client_stream_limits(const struct client *c, struct parser_limits *ret);
/* Works on one first-level element. Moves the stanza. */
void client_stream_element(struct client *c, struct stanza *s);
void client_stream_header(struct client *c, struct str to, struct str lang);
/* What the stream may do next, as <stream:features/>. */
void client_stream_features(struct client *c);
void client_stream_mechanisms(unsigned offer, struct buffer *out); /* a <mechanism/> for each */
/* Goes on with what has waited, until it is empty or something must be waited for again. */
void client_stream_continue(struct client *c);
/* True while stanzas have to wait. */
bool client_stream_busy(const struct client *c);
/* Adds to the backlog; moves the stanza. `returned`: it came back, and goes before those never
 * sent, with its id in the ledger. */
void client_stream_hold(struct client *c, struct stanza *s, bool returned, uint64_t trace);
/* Drops what still waits, since nobody will take it; `tell`: each stanza is answered with an error.
 */
void client_stream_give_up(struct client *c, bool tell);
struct backlog *client_stream_backlog(struct client *c); /* made when there is none */
bool client_stream_holds(const struct client *c, const struct stanza *s);

/* --- client_auth.c --- */
/* <auth/>, or <authenticate/> of XEP-0388; moves. */
void client_auth_begin(struct client *c, struct stanza *auth);
void client_auth_response(struct client *c, const struct stanza *response);
void client_auth_fail(struct client *c, enum sasl_failure failure);
unsigned client_auth_offer(struct client *c); /* the mechanisms this stream may use */
struct negotiation *client_auth_create(struct client *c);
void client_auth_release(struct negotiation *n); /* NULL is fine */
void client_auth_forget(struct c2s *s);          /* the instance goes away */

/* --- client_bind.c --- */
void client_bind(struct client *c, struct stanza *iq);      /* moves */
void client_bind_begin(struct client *c, struct jid *full); /* moves */
/* `reason`: what the sm says with it. */
void client_bind_started(struct client *c, struct str reason);
void client_bound(struct client *c, const char *cause); /* has a session: stanzas flow */
void client_bind_failed(struct client *c, struct str reason);
void client_bind_session(struct client *c,
                         const struct stanza *iq); /* legacy (RFC 3921 section 3) */

/* --- client_register.c --- */
bool client_register_possible(const struct client *c);
void client_register(struct client *c, struct stanza *iq); /* moves */
void client_register_answered(struct c2s *s, const struct packet *p);
void client_register_lost(struct client *c);           /* the client goes away */
bool client_register_removing(const struct client *c); /* an end of its session is its own doing */
void client_register_forget(struct c2s *s);            /* the instance goes away */
/* The same for an administrator: the packet is taken, and answered by account_request_answer. */
enum register_kind { REGISTER_CREATE, REGISTER_CHANGE, REGISTER_REMOVE };
void client_register_for(struct c2s *s, struct packet *origin, enum register_kind kind,
                         struct jid *account, struct str password);

/* --- account_request.c: a session manager asks for an administrator --- */
void account_request(struct c2s *s, struct packet *p); /* owns p */
/* The answer to one; the packet stays the caller's. */
void account_request_answer(struct c2s *s, const struct packet *request,
                            enum stanza_condition condition);

/* --- client_stanza.c --- */
void client_stanza(struct client *c, struct stanza *s); /* moves */

/* --- client_session.c --- */
void client_session_start(struct client *c);
void client_session_end(struct client *c);        /* tells the sm, leaves every table */
void client_session_forget_old(struct client *c); /* nothing can come back any more */
void client_session_send(struct client *c, struct stanza *s,
                         struct jid *to); /* moves both; `to` may be NULL */
/* A packet for the session that lacks nothing but the names of who speaks to whom; moved. */
void client_session_post(struct client *c, struct packet *p);
/* A stanza of the server's own to the client, by way of the sm, who counts it (XEP-0198); moved. */
void client_session_echo(struct client *c, struct stanza *s);
void client_session_enable(struct client *c);                /* XEP-0198: asks the sm to count */
void client_session_state(struct client *c, bool inactive);  /* XEP-0352: tells the sm */
void client_session_answer(struct c2s *s, struct packet *p); /* PACKET_SESSION; owns p */
void client_session_returned(struct c2s *s,
                             struct packet *p); /* a stanza of ours that found nobody; owns p */
void client_session_peer(struct c2s *s, struct str name, bool up);
void client_session_run(struct c2s *s);    /* starts what waits and can be started */
void client_session_finish(struct c2s *s); /* the instance goes away: every client is gone */
void client_session_tick(struct loop_timer *timer);

/* --- client_deliver.c --- */
void client_deliver(struct c2s *s, struct packet *p); /* owns p */
/* Room kept free above c2s.max_queue, so that the error that cuts a slow reader still fits. */
#define CLIENT_QUEUE_RESERVE 4096
/* Stored messages come all at once: with them the queue may be this many times c2s.max_queue, as
 * long as something leaves within CLIENT_SLOW_MS. */
#define CLIENT_QUEUE_BURST 8
#define CLIENT_SLOW_MS     3000

/* --- client_keepalive.c --- */
void client_keepalive_start(struct client *c);
void client_keepalive_timer(struct client *c);
bool client_keepalive_answer(
    struct client *c, const struct stanza *s); /* true: it answers our ping, and goes no further */

#endif
