/* DNS: asking questions, behind a seam. dns_unbound.c asks the world through libunbound, dns_sim.c
 * answers from a table in simulation. Only the resolver sees it. */
#ifndef JACKDAW_RESOLVER_DNS_H
#define JACKDAW_RESOLVER_DNS_H

#include <stdbool.h>
#include <stdint.h>
#include "base/error.h"
#include "base/list.h"
#include "base/log.h"
#include "base/str.h"
#include "config/config.h"
#include "loop/loop.h"

#define DNS_NAME_MAX    254 /* of a name as text, with the NUL */
#define DNS_MAX_RECORDS 64  /* of one answer; more are left out */

enum dns_type { DNS_A = 1, DNS_AAAA = 28, DNS_DNSKEY = 48, DNS_SRV = 33, DNS_TLSA = 52 };

enum dns_status {
    DNS_FOUND,
    DNS_ABSENT, /* no such name, or nothing of that type: an answer, too (RFC 2308) */
    DNS_FAILED, /* no answer: servers silent, broken, in a loop */
    DNS_BOGUS   /* an answer that DNSSEC proves false (RFC 4035 section 4.3) */
};

struct dns_answer {
    enum dns_status status;
    bool secure;                         /* validated, whether found or absent */
    uint32_t ttl;                        /* seconds */
    size_t count;                        /* records */
    struct str records[DNS_MAX_RECORDS]; /* RDATA as on the wire, names not compressed */
    const char *why;                     /* DNS_BOGUS: what is wrong, or NULL */
};

struct dns;

/* One question, embedded by who asks. */
struct dns_question {
    /* The answer lives until it returns. May ask again, may free the question. */
    void (*fn)(struct dns_question *q, const struct dns_answer *answer);
    struct dns *dns; /* NULL: not under way. The rest is the driver's own. */
    struct list node;
    int id;
    struct dns_answer *ready;
};

struct dns_ops {
    void (*ask)(struct dns *d, struct dns_question *q, const char *name, enum dns_type type);
    void (*cancel)(struct dns_question *q);
    void (*destroy)(struct dns *d);
};

struct dns {
    const struct dns_ops *ops;
};

/* `name` is ASCII, copied. The answer comes in a later turn. */
void dns_ask(struct dns *d, struct dns_question *q, const char *name, enum dns_type type);
void dns_cancel(struct dns_question *q); /* harmless when not under way */
/* Only when no question is under way. NULL is fine. */
void dns_destroy(struct dns *d);

/* Reads the section resolver of the configuration. On failure has logged what to do. */
enum error dns_unbound_create(struct loop *l, const struct config *config, const struct log *log,
                              struct dns **ret);

/* --- simulation --- */
struct dns *dns_sim_create(struct loop *l);
/* One more record of an answer: "192.0.2.1", "2001:db8::1", "PRIORITY WEIGHT PORT TARGET", "USAGE
 * SELECTOR MATCHING HEX". False when the text is not of the type. Names without an answer are
 * DNS_ABSENT with a TTL of 60. */
bool dns_sim_add(struct dns *d, const char *name, enum dns_type type, uint32_t ttl,
                 const char *text);
/* How an answer is: given status, secure; comes after that many ms, never when UINT64_MAX. */
void dns_sim_set(struct dns *d, const char *name, enum dns_type type, enum dns_status status,
                 bool secure, uint64_t delay);
size_t dns_sim_asked(const struct dns *d); /* questions so far */

#endif
