/* The load generator of bench/: XMPP sessions over epoll, plain or TLS, and what they cost the
 * server. One thread. It scans what comes for whole stanzas instead of parsing it, so that the
 * machine's time goes to the server. */
#ifndef JACKDAW_BENCH_LOAD_H
#define JACKDAW_BENCH_LOAD_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { LOAD_PIDS = 64, LOAD_BATCH = 256 };

struct options {
    const char *host, *domain, *password, *mechanism, *prefix;
    const char *keys; /* a file: see keys_load */
    uint16_t port;
    /* The second server of `message` (0: none): odd users are there. */
    uint16_t far_port;
    const char *far_domain;
    bool tls, raw, drain, filled;
    int count, window, each, rounds, privacy, crowd, users, at_once;
    double seconds;
    pid_t pids[LOAD_PIDS];
    int pid_count;
};

/* ---- load_net.c ---- */
enum stage {
    STAGE_CONNECT,
    STAGE_FEATURES, /* header sent, features awaited; `authenticated` says which */
    STAGE_PROCEED,
    STAGE_HANDSHAKE,
    STAGE_REGISTER,
    STAGE_CHALLENGE, /* SCRAM, client-first sent */
    STAGE_FINAL,     /* SCRAM, client-final sent; or PLAIN sent */
    STAGE_BIND,
    STAGE_SESSION,
    STAGE_ENABLE, /* XEP-0198: <enable/> sent */
    STAGE_RESUME, /* or <resume/> */
    STAGE_READY,
    STAGE_CLOSED
};

struct bytes {
    char *data;
    size_t len, cap;
};

/* What stays when a session is opened anew. */
struct identity {
    int user, resource;
    bool registering;
    /* XEP-0198: whether it wants it, how its stream is resumed ("": it is not), what came on it. */
    bool managed;
    char resume_id[256];
    uint32_t handled;
};

struct session {
    struct load *load;
    struct identity who;
    int fd;
    SSL *ssl;
    enum stage stage;
    bool secure, authenticated, want_write;
    struct bytes in, out;
    /* the scanner: where it is in `in` */
    size_t at, start;
    int depth;
    char quote, last;
    bool in_tag, closing, special;
    /* SCRAM */
    char nonce[32], auth_message[1024];
    /* what the measurement counts */
    void (*on_stanza)(struct session *s, const char *xml, size_t len);
    struct session *peer;
    uint64_t received, sent;
    bool needs_session;
};

/* Keys of one account, derived once. */
struct account_keys {
    char salt[64];
    int iterations;
    unsigned char client_key[32], server_key[32];
};

struct load {
    struct options options;
    SSL_CTX *tls;
    int epoll;
    struct session *sessions;
    int session_count;
    struct account_keys *keys; /* by user */
    size_t key_count;
    bool keys_changed;
    int ready, failed;
    bool stopped; /* nobody answers any more */
    char error[256];
};

/* Where its account is. */
const char *session_domain(const struct session *s);
/* `who` is set. */
void session_open(struct load *l, struct session *s);
void session_close(struct session *s);
void session_write(struct session *s, const char *data, size_t len);
void session_printf(struct session *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void session_flush(struct session *s);
void session_header(struct session *s);
void session_start_tls(struct session *s);
/* Notes the failure; the run ends with it. */
void session_fail(struct session *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Handles events for at most `ms`. */
void load_pump(struct load *l, int ms);

/* ---- load_login.c: everything from features to the bound session ---- */
/* What a password's derivation yields is kept in a file from one run to the next: thousands of them
 * take longer than what is measured. */
void keys_load(struct load *l, size_t count);
void keys_save(const struct load *l);
void login_on_stanza(struct session *s, const char *xml, size_t len);

/* ---- load_steps.c ---- */
#define BODY                                                                                       \
    "But soft, what light through yonder window breaks? It is the east, and Juliet is the sun. "   \
    "Arise, fair sun."
enum { WAIT_S = 120, SETTLE_S = 20, RAW_MESSAGE = 250 };

void die(const char *what) __attribute__((noreturn));
/* The waiting of every command: until the condition holds; a server that stands still ends the run.
 */
#define PUMP_UNTIL(l, condition)                                                                   \
    do {                                                                                           \
        double until_ = cost_clock() + WAIT_S;                                                     \
        while (!(condition)) {                                                                     \
            load_pump(l, 100);                                                                     \
            if (cost_clock() > until_)                                                             \
                die("no progress for two minutes waiting for " #condition);                        \
        }                                                                                          \
    } while (0)
/* Waits until the server has been quiet for a while: it has done what it was asked; for SETTLE_S at
 * most, since some never rest with thousands of sessions. Returns its CPU then. */
uint64_t settle(struct load *l);
void sessions_make(struct load *l, int count);
/* Sessions [from, to) become users first, first + step ... with that resource; those after
 * first + step * users have the next resource. */
void sessions_name(struct load *l, int from, int to, int first, int step, int users, int resource);
/* Opens sessions [from, to), so many logins at once, and waits until all are there. */
void sessions_open(struct load *l, int from, int to, int at_once);
/* Both, for users `first` and on. */
void sessions_login(struct load *l, int from, int to, int first);
void send_all(struct load *l, int from, int to, const char *xml);
void close_all(struct load *l, int from, int to);
void print_cost(const char *name, uint64_t ns, uint64_t units, double seconds);
/* Lets what goes on go on for a while, prints what a received stanza cost meanwhile. With --drain
 * it is stopped then, and what the server does until it has come to rest counts, too. */
void measure_flow(struct load *l, const char *name);
/* Stanzas that all sessions have received. */
uint64_t delivered(const struct load *l);
/* on_stanza: answers to iqs whose id begins with bench-set; messages. */
void count_set(struct session *s, const char *xml, size_t len);
void count_message(struct session *s, const char *xml, size_t len);

/* ---- the commands ---- */
void command_register(struct load *l); /* load_session.c */
void command_login(struct load *l);
void command_idle(struct load *l);
void command_storm(struct load *l);
void command_message(struct load *l); /* load_message.c */
void command_carbons(struct load *l);
void command_ping(struct load *l);
void command_fanout(struct load *l); /* load_presence.c */
void command_roster(struct load *l);
void command_offline(struct load *l); /* load_stored.c */
void command_mam(struct load *l);

/* ---- load_cost.c ---- */
uint64_t cost_cpu_ns(const struct options *o); /* of all threads of the server's processes */
uint64_t cost_memory(const struct options *o); /* proportional set size, bytes */
double cost_clock(void);                       /* seconds */

#endif
