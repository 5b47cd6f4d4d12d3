/* C2S: the component that turns clients' bytes into stanzas and back - streams, TLS, SASL,
 * registration, resource binding. It knows nothing of rosters. This header is what its files share:
 * one struct per instance, no globals.
 *
 * Who is where: client.c owns a client's life; client_stream.c speaks the stream (headers,
 * features, errors) and sends each first-level element on its way by the table of xmpp/stream.h;
 * client_auth.c, client_bind.c and client_register.c do what their names say; client_stanza.c
 * checks what a bound client sends; client_session.c is the other half of a session
 * - with a session manager that may come and go; client_deliver.c writes to the client;
 * client_keepalive.c watches for silence.
 */
#ifndef JACKDAW_C2S_C2S_H
#define JACKDAW_C2S_C2S_H

#include "base/hash.h"
#include "base/list.h"
#include "component/component.h"
#include "component/domains.h"
#include "component/unhandled.h"
#include "xmpp/jid.h"
#include "xmpp/sasl.h"

struct addresses;
struct announce;
struct auth;
struct certificates;
struct listeners;

enum c2s_tls { C2S_TLS_REQUIRED, C2S_TLS_OPTIONAL, C2S_TLS_OFF };

struct c2s_counters {
    uint64_t accepted, refused; /* connections */
    uint64_t bytes_in, bytes_out;
    uint64_t stanzas_in, stanzas_out;
    uint64_t logins, login_failures;
    uint64_t registrations;
    uint64_t stream_errors;
    uint64_t resumed; /* sessions started again at a session manager */
    uint64_t slow;    /* clients cut because they did not read */
    uint64_t bounced; /* packets from the sm that found no client */
};

struct c2s {
    struct component *component;
    struct auth *auth;
    struct addresses *addresses;
    struct certificates *certificates;
    struct listeners *listeners;
    struct announce *announce; /* on the local network; NULL: not */
    struct domains domains;
    struct {
        struct listeners *listeners;
        struct domains domains;
        unsigned mechanisms;
    } fresh;             /* between the two steps of a reload */
    size_t max_queue;    /* c2s.max_queue: connections keep the one they began with */
    size_t fds;          /* file descriptors this process may have */
    unsigned mechanisms; /* of c2s.mechanisms: a set of enum sasl_mechanism */
    unsigned char fake_secret[32];

    struct list clients;         /* every open stream */
    struct list unauthenticated; /* those without an account, oldest first */
    size_t client_count, unauthenticated_count, tls_count;
    struct list closed; /* streams that ended in this turn; `reaper` frees them at its end */
    struct loop_task reaper;

    struct receipts *receipts;
    struct unhandled_table unhandled; /* what came in on streams with XEP-0198 */
    struct list acking; /* clients that are to be told or asked at the end of the turn */
    struct loop_task acks_task;
    struct hash sessions; /* session id -> struct client */
    struct hash sms;      /* name on the router -> struct session_manager */
    struct list waiting;  /* clients that need a session as soon as an sm is there, oldest first */
    struct list starting; /* clients whose session start is unanswered, oldest first */
    struct loop_timer session_timer;
    size_t backlog_bytes; /* of all clients together */
    size_t session_count; /* attached */

    struct hash requests;      /* request id -> struct registration that waits for the sm */
    struct list registrations; /* all */
    struct list logins;        /* negotiations that a thread or the store works for */

    struct list blocked;   /* clients not read because the link to the router is full */
    struct list throttled; /* clients not read because they send faster than c2s.rate */
    struct loop_timer rate_timer;
    struct loop_timer leave_timer; /* runs while streams of domains that are gone end */
    struct loop_timer stop_timer;
    bool stopping;

    struct c2s_counters count;
    struct log_limit limit_accept, limit_auth, limit_stream, limit_slow, limit_packet;
};

static inline const struct config *c2s_config(const struct c2s *s)
{
    return s->component->env->config;
}
/* What holds for a domain of ours; NULL: not known yet, then what holds in general. */
static inline const struct config *c2s_config_for(const struct c2s *s, const char *domain)
{
    return config_for(c2s_config(s), str_of(domain ? domain : ""));
}
enum c2s_tls c2s_tls_of(const struct c2s *s, const char *domain);
static inline struct loop *c2s_loop(const struct c2s *s)
{
    return s->component->env->loop;
}
static inline uint64_t c2s_now(const struct c2s *s)
{
    return loop_now(s->component->env->loop);
}
static inline struct str c2s_id(const struct c2s *s)
{
    return str_of(s->component->id);
}

/* Calls component_stopped when nothing is left to wait for. */
void c2s_check_stopped(struct c2s *s);

/* Ends every stream of the account (bare JID) but `except` (may be NULL) with <not-authorized/>:
 * the account is gone or its password has changed. Returns how many there were here; the streams at
 * other c2s are ended, too, in a while. */
struct client;
size_t c2s_end_user(struct c2s *s, struct jid *account, const struct client *except,
                    const char *why);

#endif
