/* S2S connection: one stream with another server, made or accepted. Inside s2s/ only.
 *
 * A connection that ends is taken out of every table at once and freed at the end of the turn, so
 * its caller may still look at it: `state` is then S2S_CLOSED.
 */
#ifndef JACKDAW_S2S_S2S_CONN_H
#define JACKDAW_S2S_S2S_CONN_H

#include "base/bucket.h"
#include "s2s/remote.h"

/* Their domain was proven to speak to ours on this stream. */
struct proof {
    struct list node;
    struct remote *source; /* the remote domain; kept by its proof_count */
    size_t remote_len, local_len;
    char *local;
    char remote[]; /* both, each with its NUL */
};

/* What a ping stands for, on streams without XEP-0198 (s2s_ping.c). */
struct s2s_ping {
    struct loop_timer timer; /* asked: for the answer; else the next one is due then */
    uint64_t number, asked_at;
    size_t covers; /* how many of `unacked` its answer acknowledges */
    bool asked;    /* one is out */
    bool answered; /* one was */
    bool mute;     /* none ever was: no more are sent */
};

/* Why a connection is not read. */
enum s2s_pause {
    S2S_PAUSE_LINK = 1 << 0, /* the router does not keep up */
    S2S_PAUSE_AWAY = 1 << 1, /* nobody here serves a domain that it sends to, for the moment */
    S2S_PAUSE_SLOW = 1 << 3, /* too much of it is not handled */
    S2S_PAUSE_RATE = 1 << 2  /* it has sent more than it may (s2s.rate, s2s.message_rate) */
};

struct s2s_conn {
    struct s2s *s2s;
    struct list node;        /* s2s->conns, then s2s->closed */
    struct list remote_node; /* made: remote->conns */
    struct list link_node;   /* s2s->blocked */
    struct conn *conn;       /* NULL once closed */
    struct parser *parser;
    struct s2s_address *address; /* accepted */
    struct remote *remote;       /* made */
    struct s2s_query query;      /* accepted: for what DNS says about their certificate */
    struct target target;        /* made */
    char *local, *peer;          /* domains of the header: ours, theirs; NULL while unknown */
    char *id;                    /* the stream's, given by whoever accepted */
    struct list pairs;           /* struct pair: what flows out */
    struct list proofs;          /* struct proof: what may come in */
    struct list verifies;        /* struct verify: keys that came here */
    size_t proof_count, verify_count;
    struct loop_timer timer, rate_timer;
    struct bucket bytes; /* that it may still send */
    uint64_t stanzas;    /* in this read */
    uint64_t last_use;
    enum s2s_role role;
    enum s2s_state state;
    unsigned paused;
    bool direct_tls, tls, header_sent, in_feed;
    bool trusted;       /* the certificate's chain is */
    bool dane;          /* it proves `peer` by what a validated answer of DNS says */
    bool authenticated; /* by SASL EXTERNAL */
    bool tried_external, dialback, dialback_errors, bidi, sm_offered;
    bool takes_keys; /* accepted, with bidi: one of ours was valid here */
    char certificate_why[160];
    /* XEP-0198, both directions of one stream */
    bool sm;                     /* what we send is counted */
    bool sm_counting;            /* what they send is */
    bool ack_asked;              /* <r/> sent, <a/> due */
    bool ack_owed;               /* they asked, and less was handled than had come */
    uint32_t sm_out;             /* acknowledged by them */
    size_t sm_before;            /* of unacked: what was sent before they wanted acknowledgements */
    struct unhandled in;         /* what they sent */
    struct domain_queue unacked; /* with neither XEP-0198 nor pings: empty */
    struct s2s_ping ping;
};

/* --- s2s_conn.c --- */
void s2s_conn_accept(struct s2s *s, struct conn *conn, bool direct_tls);
/* On a connection to an address of a remote (owned from here), with `local` in the header. */
struct s2s_conn *s2s_conn_made(struct remote *r, const struct target *target, struct str local,
                               struct conn *conn);
void s2s_conn_set_state(struct s2s_conn *c, enum s2s_state state, const char *cause);
void s2s_conn_close(struct s2s_conn *c, const char *cause);
void s2s_conn_error(struct s2s_conn *c, enum stream_condition condition, const char *text);
/* With an application-specific element (RFC 6120 section 4.9.4), as text. */
void s2s_conn_error_app(struct s2s_conn *c, enum stream_condition condition, const char *text,
                        struct str app);
/* Ends without a word. `condition` is what stanzas that wait for it may come back with. */
void s2s_conn_fail(struct s2s_conn *c, enum stanza_condition condition, const char *why);
void s2s_conn_write(struct s2s_conn *c, struct str bytes);
void s2s_conn_write_buffer(struct s2s_conn *c, struct buffer *out); /* and finishes it */
void s2s_conn_restart(struct s2s_conn *c); /* a new stream header is due, from them */
void s2s_conn_raise_limits(struct s2s_conn *c);
void s2s_conn_reap(struct loop_task *task);
struct log s2s_conn_log(const struct s2s_conn *c);
/* Remembers the domains of the header; NULL-safe copies. */
void s2s_conn_set_domains(struct s2s_conn *c, struct str local, struct str peer);
/* The stream is in use: it will not be closed as idle for a while. */
void s2s_conn_used(struct s2s_conn *c);

json_t *s2s_conn_list(const struct s2s *s); /* the accepted ones, for `jackdaw s2s list` */

/* --- s2s_element.c --- */
extern const struct parser_events s2s_element_events;

/* --- s2s_in.c --- */
void s2s_in_header(struct s2s_conn *c, const struct s2s_header *h);
void s2s_in_error_header(struct s2s_conn *c); /* a header before an error (4.9.1.2) */
void s2s_in_features(struct s2s_conn *c);     /* what was put off until DNS has answered */
void s2s_in_tls_ready(struct s2s_conn *c);
void s2s_in_starttls(struct s2s_conn *c);
void s2s_in_auth(struct s2s_conn *c, const struct stanza *s);
void s2s_in_bidi(struct s2s_conn *c);

/* --- s2s_out.c --- */
void s2s_out_begin(struct s2s_conn *c); /* connected */
void s2s_out_header(struct s2s_conn *c, const struct s2s_header *h);
void s2s_out_features(struct s2s_conn *c, const struct stanza *s);
void s2s_out_proceed(struct s2s_conn *c);
void s2s_out_tls_ready(struct s2s_conn *c);
void s2s_out_success(struct s2s_conn *c);
void s2s_out_failure(struct s2s_conn *c, const struct stanza *s);

/* --- s2s_proof.c --- */
struct proof *s2s_proof_find(const struct s2s_conn *c, struct str remote, struct str local);
/* False: too many, on this stream or in all. */
bool s2s_proof_add(struct s2s_conn *c, struct str remote, struct str local);
void s2s_proof_forget_all(struct s2s_conn *c);
void s2s_proof_forget_if(struct s2s_conn *c, bool (*dead)(const struct s2s *s, struct str local));

/* --- s2s_judge.c --- */
void s2s_judge_certificate(struct s2s_conn *c); /* the handshake is finished */
/* Accepted, when nothing else proves who the header says it is: asks DNS about the certificate, and
 * calls s2s_in_features then. False: there is nothing to ask. */
bool s2s_judge_ask(struct s2s_conn *c);
/* What it showed proves this domain. */
bool s2s_judge_certified(const struct s2s_conn *c, struct str domain);
/* For people: by what a pair with that domain is proven here. */
const char *s2s_judge_proof(const struct s2s_conn *c, struct str domain);
/* The policy lets this stream carry stanzas from or to the domain, once that is proven. */
bool s2s_judge_allows(const struct s2s_conn *c, struct str domain);
/* Closes what is not allowed any more, sends back what waits for it. */
void s2s_judge_reload(struct s2s *s);

/* --- s2s_flow.c --- */
void s2s_flow_pause(struct s2s_conn *c, enum s2s_pause why);
void s2s_flow_resume(struct s2s_conn *c, enum s2s_pause why);
void s2s_flow_check_link(struct s2s_conn *c);
void s2s_flow_unblock(struct s2s *s);
/* A domain of ours is served again, or not. */
void s2s_flow_domain(struct s2s *s, struct str local, bool served);
/* Stanzas for that domain may come on this stream from now on. */
void s2s_flow_check_domain(struct s2s_conn *c, struct str local);
void s2s_flow_rate_tick(struct loop_timer *timer);
/* After a read: the stream may have to wait. */
void s2s_flow_charge(struct s2s_conn *c, size_t bytes, uint64_t stanzas);
/* Counts a stanza of a domain; false: it is one subscription request too many. */
bool s2s_flow_stanza(struct s2s *s, struct remote *source, const struct stanza *stanza);

/* --- s2s_dialback.c --- */
void s2s_dialback_prove(struct pair *pair, struct s2s_conn *c); /* sends our key */
void s2s_dialback_result(struct s2s_conn *c, const struct stanza *s);
void s2s_dialback_result_answer(struct s2s_conn *c, const struct stanza *s);
void s2s_dialback_verify(struct s2s_conn *c, const struct stanza *s);
void s2s_dialback_verify_answer(struct s2s_conn *c, const struct stanza *s);
void s2s_dialback_verified(struct s2s_conn *c, struct str remote, struct str local,
                           enum dialback_type type, enum stanza_condition condition);

/* --- s2s_stanza.c --- */
void s2s_stanza_in(struct s2s_conn *c, struct stanza *s);  /* moves */
void s2s_stanza_flush(struct pair *pair);                  /* writes what the stream takes */
void s2s_stanza_returned(struct s2s *s, struct packet *p); /* the router's bounce; owns p */
/* To another server's user: the error for what they sent; owns p. */
void s2s_stanza_refuse(struct s2s *s, struct packet *p, enum stanza_condition condition);
void s2s_stanza_handled(void *s2s, uint64_t number); /* a receipt */
/* The other server has said that it has it; p is destroyed. */
void s2s_stanza_acknowledged(struct s2s *s, struct packet *p);
/* What came for a domain of ours and was not handled goes there once more. */
void s2s_stanza_repeat(struct s2s *s, struct str local);
/* An acknowledgement has come: what waited for it is written. */
void s2s_stanza_resume(struct s2s_conn *c);
void s2s_sm_element(struct s2s_conn *c, const struct stanza *s);
void s2s_sm_enable(struct s2s_conn *c); /* made: asks for it, when offered */

/* --- s2s_held.c --- */
void s2s_held_init(struct s2s *s);
void s2s_held_finish(struct s2s *s);
/* It is of a domain of ours that nobody serves for the moment. */
bool s2s_held_waits(const struct s2s *s, const struct jid *to);
/* Such a packet, with both addresses; moved. It waits, or comes back. */
void s2s_held_take(struct s2s *s, struct packet *p);
void s2s_held_release(struct s2s *s, struct str local);  /* it is served again */
void s2s_held_send_back(struct s2s *s, uint64_t before); /* what came then or earlier (loop_now) */

/* --- s2s_ping.c --- */
void s2s_ping_start(struct s2s *s); /* what the ids of its pings are made of */
void s2s_ping_init(struct s2s_conn *c);
void s2s_ping_stop(struct s2s_conn *c); /* it has ended */
/* The pair's stream has no XEP-0198: whether what is written to it is kept in `unacked`. */
bool s2s_ping_keeps(const struct pair *pair, const struct packet *p);
/* Soon there will be a ping behind what was written, unless nothing is kept. */
void s2s_ping_ask(struct s2s_conn *c);
/* XEP-0198 is there after all: no answer is waited for any more. */
void s2s_ping_forget(struct s2s_conn *c);
/* What is kept counts as sent. */
void s2s_ping_release(struct s2s_conn *c);
/* Lets the oldest go where nobody knows whether an answer will ever come; false: it stays. */
bool s2s_ping_make_room(struct s2s_conn *c);
/* True: this stanza, of a proven pair, is the answer to a ping of ours, or of another s2s of ours,
 * who is told; it goes no further. */
bool s2s_ping_answer(struct s2s *s, const struct stanza *stanza, const struct jid *from,
                     const struct jid *to);
/* True: the packet is such an answer, which another s2s has passed on; it stays the caller's. */
bool s2s_ping_passed_on(struct s2s *s, const struct packet *p);

#endif
