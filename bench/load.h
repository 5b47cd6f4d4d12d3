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
    uint16_t port;
    /* The second server of `message` (0: none): odd users are there. */
    uint16_t far_port;
    const char *far_domain;
    bool tls, raw;
    int count, window, each, rounds, privacy;
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
    STAGE_READY,
    STAGE_CLOSED
};

struct bytes {
    char *data;
    size_t len, cap;
};

struct session {
    struct load *load;
    int fd;
    SSL *ssl;
    enum stage stage;
    bool secure, authenticated, registering, want_write;
    int user, resource;
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
    int key_count;
    int ready, failed;
    char error[256];
};

/* Where its account is. */
const char *session_domain(const struct session *s);
void session_open(struct load *l, struct session *s, int user, int resource);
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
void login_on_stanza(struct session *s, const char *xml, size_t len);

/* ---- load_cost.c ---- */
uint64_t cost_cpu_ns(const struct options *o); /* of all threads of the server's processes */
uint64_t cost_memory(const struct options *o); /* proportional set size, bytes */
double cost_clock(void);                       /* seconds */

#endif
