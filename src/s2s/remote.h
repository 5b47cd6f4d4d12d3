/* Remote: another domain, as long as something concerns it - what waits for it, how it is reached,
 * what is asked of it. Inside s2s/ only.
 *
 * There is one outgoing attempt per domain at a time (B 47); whatever waits, waits for that one.
 */
#ifndef JACKDAW_S2S_REMOTE_H
#define JACKDAW_S2S_REMOTE_H

#include "base/bucket.h"
#include "net/dialer.h"
#include "s2s/s2s.h"

struct s2s_conn;

enum pair_state {
    PAIR_IDLE,    /* no stream for it */
    PAIR_PROVING, /* our key was sent, the answer is due */
    PAIR_OPEN     /* stanzas flow */
};

/* What one of our domains sends to one of theirs. */
struct pair {
    struct list node;      /* remote->pairs */
    struct list conn_node; /* conn->pairs, unless idle */
    struct remote *remote;
    struct s2s_conn *conn;
    struct domain_queue queue;
    enum pair_state state;
    uint64_t since;        /* of PROVING */
    uint64_t refused_till; /* loop_now until which the peer's refusal stands */
    uint64_t again_at;     /* loop_now before which our key is not shown again */
    enum stanza_condition refusal;
    size_t local_len;
    char local[];
};

/* A key that another server showed us, to be checked with the domain it claims (XEP-0220 2.2). */
struct verify {
    struct list node;       /* remote->verifies */
    struct list asker_node; /* asker->verifies */
    struct remote *remote;
    struct s2s_conn *asker; /* where the key came; NULL when that ended */
    struct s2s_conn *via;   /* where it was asked; NULL: not yet */
    struct s2s_address *address;
    uint64_t since;
    char *local, *key, *id;
};

/* Where a domain is, as the resolver says. Arrays that the callee does not take (and sets to NULL)
 * are freed after the call. */
struct s2s_answer {
    enum stanza_condition condition; /* NONE: there is at least one target */
    const char *why;
    bool definite; /* asking again would not help now */
    struct target *targets;
    struct tlsa *tlsa;
    size_t target_count, tlsa_count;
};

/* A question to the resolver, inside of who asks. */
struct s2s_query {
    void (*answered)(struct s2s_query *q, struct s2s_answer *answer);
    struct s2s *s2s; /* NULL: none is under way */
    struct str name;
    struct loop_timer late;
    uint64_t most_ms;
    char id[20];
};

struct remote {
    struct s2s *s2s;
    struct list pairs, conns, verifies; /* conns: made by us, not closed */
    size_t proof_count;                 /* it may send to us on so many streams */
    struct bucket messages, subscribes; /* that it may still send */
    uint64_t remembered_till;           /* loop_now until which its limits are */
    uint64_t next_turn;                 /* loop_now: of its streams, s2s_flow.c */
    struct s2s_conn *attempt;           /* the one that is being negotiated */
    struct target *targets;
    struct tlsa *tlsa;
    size_t target_count, tlsa_count;
    struct dialer *dialer;           /* whichever of them answers; NULL: nobody is called */
    uint8_t dialed[S2S_TARGETS_MAX]; /* its indices -> ours */
    struct loop_timer timer;
    uint64_t retry_at;
    unsigned failures; /* attempts in a row that reached nobody */
    bool lonely;       /* streams of other domains are not to be shared */
    bool no_external;  /* it refused our certificate: dialback at once */
    bool refuses_keys; /* on streams that it made; Prosody 0.12 closes them then */
    bool no_pings;     /* it answered them, and then no more (s2s_ping.c) */
    bool definite;     /* until retry_at everything comes back at once */
    struct s2s_query query;
    enum stanza_condition condition; /* of the last failure */
    char why[200];
    size_t name_len;
    char name[];
};

static inline struct str remote_name(const struct remote *r)
{
    return (struct str){r->name, r->name_len};
}
static inline struct str pair_local(const struct pair *p)
{
    return (struct str){p->local, p->local_len};
}

/* A stanza for another domain; moved. Bounces what cannot go. */
void remote_send(struct s2s *s, struct packet *p);
struct remote *remote_find(const struct s2s *s, struct str name);
struct remote *remote_get(struct s2s *s, struct str name); /* NULL: too many */
/* What can be done for it is done in the next turn: streams for pairs, keys to ask, an attempt. */
void remote_poke(struct remote *r);
void remote_denied(struct remote *r); /* what waits comes back, nobody is called */
/* One of our streams can carry stanzas now. */
void remote_conn_open(struct s2s_conn *c);
/* A stream has ended, whoever made it: its pairs look for another, what was not acknowledged goes
 * back to its queue. */
void remote_conn_ended(struct s2s_conn *c, enum stanza_condition condition, const char *why);
/* A stream of ours that can carry stanzas, or keys, other than `except`; NULL when there is none.
 */
struct s2s_conn *remote_open_conn(const struct remote *r, const struct s2s_conn *except);
uint64_t remote_queue_ms(const struct remote *r); /* how long a stanza may wait */
json_t *remote_list(const struct s2s *s);         /* for `jackdaw s2s list` */
void remote_destroy_all(struct s2s *s);

/* --- pair.c --- */
struct pair *pair_find(struct remote *r, struct str local); /* NULL when there is none */
struct pair *pair_get(struct remote *r, struct str local);
/* A stanza with both addresses; moved. It is written, waits, or comes back. */
void pair_send(struct remote *r, struct packet *p);
bool pair_waits(const struct pair *pair); /* for a stream */
void pair_bounce(struct pair *pair, enum stanza_condition condition, const char *text); /* all */
/* False: no stream that is there can carry it. */
bool pair_find_stream(struct pair *pair);
void pair_open(struct pair *pair, struct s2s_conn *c);
/* What the other end may do on a stream that is proven for the pair, whether ours goes over it or
 * over theirs, made at the same moment. */
void pair_share(struct pair *pair, struct s2s_conn *c);
void pair_refused(struct pair *pair, enum stanza_condition said); /* our key; NONE: it is invalid */
void pair_unanswered(struct pair *pair);                          /* our key, in time */
void pair_detach(struct pair *pair);                              /* its stream has ended */
json_t *pair_json(const struct pair *pair);

/* --- attempt.c --- */
void attempt_begin(struct remote *r); /* unless there is one, or it is too early */
void attempt_next(struct remote *r);  /* what answered was not who we look for */
/* The attempt as a whole reached nobody. `definite`: trying again would not help now. */
void attempt_failed(struct remote *r, enum stanza_condition condition, const char *why,
                    bool definite);
void attempt_forget(struct remote *r); /* the addresses */

/* --- verify.c --- */
/* Begins; the answer comes to s2s_dialback_verified. False when a bound is reached. */
bool verify_begin(struct s2s_conn *asker, struct str remote, struct str local, struct str key,
                  struct str id);
void verify_ask(struct verify *v, struct s2s_conn *via);
struct verify *verify_find(struct s2s_conn *via, struct str remote, struct str local,
                           struct str id);
/* Tells the asker, if it is still there, and frees. */
void verify_done(struct verify *v, enum dialback_type type, enum stanza_condition condition);
void verify_fail_all(struct remote *r, enum stanza_condition condition, bool asked_too);

/* --- s2s_resolve.c --- */
/* Asks; `answered` comes later, within `most_ms`, or never once cancelled. `q` and `name` stay the
 * caller's and where they are until then. */
void s2s_resolve(struct s2s *s, struct s2s_query *q, struct str name, uint64_t most_ms);
void s2s_resolve_answer(struct s2s *s, struct packet *p); /* owns p; bounces too */
void s2s_resolve_cancel(struct s2s_query *q);             /* also when none is under way */
/* There is a resolver again: what the last one was asked is asked of this one (reliability.md C.2).
 */
void s2s_resolve_again(struct s2s *s);

#endif
