/* Lookup: one domain's way to addresses. First SRV of both services, then the addresses (and, where
 * the chain is secure, TLSA) of the targets; one deadline for all of it. lookup.c asks,
 * lookup_result.c makes the result of what came. */
#ifndef JACKDAW_RESOLVER_LOOKUP_H
#define JACKDAW_RESOLVER_LOOKUP_H

#include "base/random.h"
#include "loop/loop.h"
#include "resolver/dns.h"
#include "resolver/order.h"
#include "resolver/rdata.h"

enum {
    LOOKUP_MAX_TARGETS = 16,   /* tried of all that SRV names */
    LOOKUP_MAX_PER_FAMILY = 6, /* addresses of one host, of IPv4 and of IPv6 each */
    LOOKUP_MAX_IPS = 32,
    LOOKUP_MAX_TLSA = 8,         /* of one target */
    LOOKUP_MAX_TLSA_DATA = 2048, /* bytes: a whole certificate with matching type 0 */
    LOOKUP_LATE_MS = 1000,       /* for the rest, once something can be tried */
    LOOKUP_PORT = 5269           /* without SRV: RFC 6120 section 3.2.2 */
};

enum lookup_error {
    LOOKUP_OK,
    LOOKUP_NOT_FOUND,  /* the domain does not exist, or has no address */
    LOOKUP_NO_SERVICE, /* it says that it has none */
    LOOKUP_TIMEOUT,    /* no answer in time, or none but failures: may work later */
    LOOKUP_BOGUS       /* nothing left that DNSSEC does not prove false */
};

struct lookup_ip {
    char ip[RDATA_IP_MAX];
    const char *host; /* into the lookup */
    uint16_t port;
    uint32_t ttl;
    bool direct, secure;
};

struct lookup_tlsa {
    uint8_t usage, selector, matching;
    char *data;
    size_t len;
};

struct lookup;

/* One question to DNS and what became of it. */
struct lookup_part {
    struct dns_question question;
    struct lookup *lookup;
    enum dns_status status; /* DNS_FAILED until answered */
    bool secure;
    uint32_t ttl;
};

struct lookup_host {
    char name[DNS_NAME_MAX];
    struct lookup_part family[2]; /* [0] AAAA, [1] A */
    char ips[2][LOOKUP_MAX_PER_FAMILY][RDATA_IP_MAX];
    size_t count[2];
};

struct lookup_service {
    uint16_t port;
    bool direct, secure;
    uint32_t ttl; /* of the SRV record */
    struct lookup_host *host;
    bool tlsa_asked;
    struct lookup_part tlsa_part;
    struct lookup_tlsa tlsa[LOOKUP_MAX_TLSA];
    size_t tlsa_count;
    bool used; /* some address of it is in the result */
};

struct lookup {
    /* --- of the owner --- */
    void (*done)(struct lookup *l); /* may destroy it */
    void *owner;
    /* --- the result, when done --- */
    enum lookup_error error;
    bool secure;  /* every address */
    uint32_t ttl; /* seconds the result stays true */
    struct lookup_ip ips[LOOKUP_MAX_IPS];
    size_t ip_count;
    /* --- under way --- */
    char name[DNS_NAME_MAX];
    struct dns *dns;
    struct loop *loop;
    struct random *random;
    struct loop_timer timer;
    bool hurried; /* the timer has been shortened in this stage */
    uint64_t deadline;
    size_t waiting;            /* questions not answered */
    struct lookup_part srv[2]; /* [0] _xmpp-server, [1] _xmpps-server */
    struct target *targets;    /* while SRV is asked for: ORDER_MAX_RECORDS */
    size_t target_count;
    bool says_none;                                     /* a target "." */
    bool fallback;                                      /* no SRV: the domain itself */
    struct lookup_service services[LOOKUP_MAX_TARGETS]; /* in the order to try */
    size_t service_count;
    struct lookup_host hosts[LOOKUP_MAX_TARGETS];
    size_t host_count;
};

/* `name` as of host_name. `done` is called once, in a later turn and at most timeout_ms from now.
 */
struct lookup *lookup_create(struct dns *dns, struct loop *loop, struct random *random,
                             const char *name, uint64_t timeout_ms, void (*done)(struct lookup *l),
                             void *owner);
void lookup_destroy(struct lookup *l); /* also before it is done; NULL is fine */

/* lookup_result.c: everything is answered, or will not be. */
void lookup_result(struct lookup *l);
/* A result without addresses; its TTL is that of the denials. */
void lookup_result_none(struct lookup *l, enum lookup_error error);

#endif
