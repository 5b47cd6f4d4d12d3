/* S2S: the component that speaks with other servers. It is the router's default route: what no
 * component of ours has bound goes to another domain, or comes back with the right error.
 *
 * Who is where: s2s_conn.c owns a connection's life, in either direction;
 * s2s_element.c sends each first-level element on its way by the table of xmpp/s2s_stream.h;
 * s2s_in.c and s2s_out.c negotiate streams; s2s_dialback.c asks and answers who is who;
 * s2s_stanza.c is the way of stanzas and their acknowledgements, s2s_ping.c those of servers that
 * know none; s2s_held.c keeps what came for a domain of ours that is away. s2s_proof.c keeps who
 * was proven, s2s_judge.c says whether that is enough, s2s_flow.c how fast they are read. remote.c
 * knows each other domain, pair.c what waits for it (domain_queue.c) and over which stream it goes,
 * attempt.c how it is reached (s2s_resolve.c) and when to try again, verify.c the keys that are
 * being checked. policy.c is what the configuration says about a domain, s2s_tls.c our certificates
 * and whom we trust.
 *
 * An identity is a pair: their domain, our domain. Nothing is accepted that was not proven for that
 * very pair on that very stream (reliability.md B 47).
 */
#ifndef JACKDAW_S2S_S2S_H
#define JACKDAW_S2S_S2S_H

#include "base/hash.h"
#include "base/list.h"
#include "component/component.h"
#include "component/domains.h"
#include "component/listeners.h"
#include "component/secret.h"
#include "component/unhandled.h"
#include "s2s/domain_queue.h"
#include "xmpp/dialback.h"
#include "xmpp/s2s_stream.h"
#include "xmpp/stanza_error.h"

#define S2S_PENDING_PER_CONN    8   /* keys of one connection being checked (B 47) */
#define S2S_PENDING_PER_ADDRESS 64  /* of one address */
#define S2S_PAIRS_PER_CONN      500 /* proven on one stream */
#define S2S_TARGETS_MAX         32  /* addresses of one domain that are tried */
#define S2S_TLSA_MAX            32
#define S2S_LINGER_MS           2000u
#define S2S_LOW_ROOM            262144u /* unsent bytes above which stanzas wait in their queue */

struct s2s_tls;

struct s2s_counters {
    uint64_t accepted, refused, connected, failed;
    uint64_t stanzas_in, stanzas_out, bytes_in, bytes_out;
    uint64_t bounced, retried;
    uint64_t pings; /* sent for acknowledgements */
    uint64_t dialback_valid, dialback_invalid;
    uint64_t stream_errors;
    uint64_t slowed;             /* times a stream had to wait for its rates */
    uint64_t subscribes_refused; /* by s2s.subscribe_rate */
};

struct s2s_names {
    char **items;
    size_t count, cap;
};

struct s2s {
    struct component *component;
    struct domains domains;
    char secret[DIALBACK_KEY]; /* of dialback keys, no NUL */
    char ping_token[40];       /* in the ids of our pings */
    struct s2s_tls *tls;
    struct listeners *listeners;
    struct {
        struct listeners *listeners;
        struct domains domains;
    } fresh;                    /* between the two steps of a reload */
    struct loop_timer farewell; /* domains that are gone may still say so */
    struct receipts *receipts;
    struct unhandled_table unhandled; /* what came in and was not handled */
    struct unhandled loose;           /* messages of streams without acknowledgements among that */
    struct hash remotes;              /* name -> struct remote */
    struct hash queries;              /* id -> struct s2s_query that waits for the resolver */
    struct hash addresses;            /* ip -> struct s2s_address */
    struct list conns, closed, blocked;
    size_t conn_count;
    struct domain_queue held; /* for domains of ours that nobody serves for the moment */
    struct loop_timer held_timer;
    struct loop_task reaper;
    struct loop_timer stop_timer;
    struct s2s_names black, white; /* an administrator's: s2s_peers.c */
    bool by_default;               /* nobody has said s2s.enabled */
    bool stopping;
    struct s2s_counters count;
    struct log_limit limit_accept, limit_stream, limit_remote, limit_packet, limit_spam;
};

static inline const struct config *s2s_config(const struct s2s *s)
{
    return s->component->env->config;
}
static inline struct loop *s2s_loop(const struct s2s *s)
{
    return s->component->env->loop;
}
static inline uint64_t s2s_now(const struct s2s *s)
{
    return loop_now(s->component->env->loop);
}

/* --- s2s_reload.c --- */
/* Both steps, for the start. */
enum error s2s_reload_start(struct s2s *s);
enum error s2s_reload_prepare(struct component *c);
void s2s_reload_commit(struct component *c);
void s2s_reload_revert(struct component *c);
/* No more ours, but its users' last presence may still leave. */
bool s2s_reload_leaving(const struct s2s *s, struct str domain);
void s2s_reload_farewell(struct loop_timer *timer); /* s2s->farewell */

/* A domain of this house: configured, or bound by a component at our router. */
bool s2s_is_local(const struct s2s *s, struct str domain);
/* Sends the error for a packet that cannot leave, to whoever sent it; destroys it. */
void s2s_bounce(struct s2s *s, struct packet *p, enum stanza_condition condition, const char *text);
/* The packet has left for good: tells who waits for it; destroys it. */
void s2s_done(struct s2s *s, struct packet *p);
void s2s_check_stopped(struct s2s *s);
void s2s_check_acknowledged(struct s2s *s); /* stopping: there may be nothing to wait for */

/* --- policy.c --- */
struct policy {
    bool allowed, tls, certificate;
};
struct policy policy_of(const struct s2s *s, struct str domain);
/* Whether users of this domain of ours speak with other servers at all. */
bool policy_federates(const struct s2s *s, struct str local);
/* Says in the log what of the configuration makes no sense; false then. */
bool policy_check(const struct s2s *s);

/* --- s2s_peers.c: the lists that administrators keep --- */
bool s2s_peers_allow(const struct s2s *s, struct str domain);
/* True for a packet that tells them; it stays the caller's. */
bool s2s_peers_told(struct s2s *s, const struct packet *p);
/* A name has come to the router: whoever serves one of our domains is asked. */
void s2s_peers_ask(struct s2s *s, struct str name);
void s2s_peers_finish(struct s2s *s);

/* --- where a domain can be reached --- */
struct target {
    struct net_address at;
    char host[256]; /* the SRV target, "" when unknown */
    bool direct_tls, secure;
    bool tried; /* it answered or not, but was of no use */
};
struct tlsa {
    char host[256];
    uint16_t port;
    uint8_t usage, selector, matching;
    uint8_t len;
    unsigned char data[255];
};

/* The configured addresses of a domain, at most `max`; how many. */
size_t policy_hosts(const struct s2s *s, struct str domain, struct target *ret, size_t max);

/* --- who comes from where --- */
struct s2s_address {
    size_t conns, pending;
    char ip[108];
};
struct s2s_address *s2s_address_get(struct s2s *s, const char *ip);
void s2s_address_release(struct s2s *s, struct s2s_address *a); /* frees it when unused */

/* --- s2s_tls.c --- */
struct s2s_tls *s2s_tls_create(struct s2s *s); /* off */
/* Loads everything, with s2s.tls off nothing; an error after a log line. Then one of the others
 * follows. */
enum error s2s_tls_prepare(struct s2s_tls *t, const struct domains *domains);
bool s2s_tls_prepared(const struct s2s_tls *t); /* and s2s.tls is not off */
void s2s_tls_commit(struct s2s_tls *t);
void s2s_tls_revert(struct s2s_tls *t);
bool s2s_tls_on(const struct s2s_tls *t); /* else there is nothing of what follows */
void s2s_tls_destroy(struct s2s_tls *t);  /* NULL is fine */
struct tls_server *s2s_tls_server(const struct s2s_tls *t, bool direct);
struct tls_client *s2s_tls_client(const struct s2s_tls *t, struct str local, bool direct);
const struct tls_trust *s2s_tls_trust(const struct s2s_tls *t);

#endif
