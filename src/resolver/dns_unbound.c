/* DNS by libunbound: it recurses or forwards, validates (DNSSEC), and keeps a cache of its own that
 * obeys the TTLs of answers and of denials; so there is none of ours
 * (docs/decisions/0031-resolver.md). It works in a thread of its own; its answers are taken on the
 * loop when its descriptor can be read. */
#include <errno.h>
#include <stdlib.h>
#include <unbound.h>
#include <unistd.h>

#include "base/mem.h"
#include "resolver/dns.h"

#define ROOT_KEY "/usr/share/dns/root.key" /* Debian's dns-root-data */
#define CLASS_IN 1

struct dns_unbound {
    struct dns base;
    struct loop *loop;
    struct ub_ctx *ctx;
    struct log log;
    struct log_limit bogus_limit;
    struct loop_watch watch;
    struct loop_timer fail;     /* tells those in `failed` */
    struct list failed;         /* questions that libunbound did not take */
    struct dns_question anchor; /* asked once, to see whether validation can work here */
};

/* What differs from the defaults of the library, which are made for one question at a time. */
static const char *const options[][2] = {
    /* Questions to silent servers hold a port each: with few ports they would hold up the rest. */
    {"outgoing-range:", "4096"},
    {"outgoing-num-tcp:", "32"},
    {"num-queries-per-thread:", "1024"},
    {"msg-cache-size:", "4m"},
    {"rrset-cache-size:", "8m"},
    /* A forwarder that is silent about one domain is not dead for the others (dependencies.md 6).
     */
    {"infra-keep-probing:", "yes"},
    {"infra-host-ttl:", "2"},
    {"do-not-query-localhost:", "no"}, /* a forwarder on this machine */
    {"harden-below-nxdomain:", "yes"},
    {"harden-dnssec-stripped:", "yes"},
};

static struct dns_unbound *unbound_of(struct dns *d)
{
    return MEM_CONTAINER(d, struct dns_unbound, base);
}

/* --- answers --- */

static enum dns_status status_of(const struct ub_result *r)
{
    enum { NOERROR = 0, NXDOMAIN = 3 };

    if (r->bogus)
        return DNS_BOGUS;
    if (r->havedata)
        return DNS_FOUND;
    return r->rcode == NOERROR || r->rcode == NXDOMAIN ? DNS_ABSENT : DNS_FAILED;
}

static void on_result(void *arg, int error, struct ub_result *r)
{
    struct dns_question *q = arg;
    struct dns_unbound *u = unbound_of(q->dns);
    struct dns_answer answer = {.status = DNS_FAILED};

    if (error == 0) {
        answer.status = status_of(r);
        answer.secure = r->secure != 0;
        answer.ttl = r->ttl > 0 ? (uint32_t)r->ttl : 0;
        answer.why = r->why_bogus;
        if (answer.status == DNS_FOUND)
            for (; answer.count < DNS_MAX_RECORDS && r->data[answer.count]; answer.count++)
                answer.records[answer.count] =
                    (struct str){r->data[answer.count], (size_t)r->len[answer.count]};
        if (answer.status == DNS_BOGUS &&
            log_limit_pass(&u->bogus_limit, loop_now(u->loop), &u->log))
            log_warn(&u->log, "the answer about %s is false: %s", r->qname,
                     r->why_bogus ? r->why_bogus : "DNSSEC validation failed");
    }
    q->dns = NULL;
    q->fn(q, &answer);
    ub_resolve_free(r);
}

static void on_readable(struct loop_watch *watch)
{
    struct dns_unbound *u = MEM_CONTAINER(watch, struct dns_unbound, watch);
    int error = ub_process(u->ctx);

    if (error && log_limit_pass(&u->bogus_limit, loop_now(u->loop), &u->log))
        log_error(&u->log, "libunbound: %s; restart the resolver if this goes on",
                  ub_strerror(error));
}

static void on_fail(struct loop_timer *timer)
{
    struct dns_unbound *u = MEM_CONTAINER(timer, struct dns_unbound, fail);
    const struct dns_answer answer = {.status = DNS_FAILED};
    struct list *node;

    while ((node = list_pop(&u->failed)) != NULL) {
        struct dns_question *q = LIST_ENTRY(node, struct dns_question, node);
        q->dns = NULL;
        q->fn(q, &answer);
    }
}

/* --- questions --- */

static void unbound_ask(struct dns *d, struct dns_question *q, const char *name, enum dns_type type)
{
    struct dns_unbound *u = unbound_of(d);

    list_init(&q->node);
    q->id = 0;
    if (ub_resolve_async(u->ctx, name, (int)type, CLASS_IN, q, on_result, &q->id) == 0)
        return;
    list_push(&u->failed, &q->node);
    loop_timer_start(&u->fail, 0);
}

/* The library goes on asking, so that its cache has the answer for the next who wants it. */
static void unbound_cancel(struct dns_question *q)
{
    struct dns_unbound *u = unbound_of(q->dns);

    if (list_empty(&q->node))
        (void)ub_cancel(u->ctx, q->id);
    list_remove(&q->node);
}

/* --- setting up --- */

static void unbound_destroy(struct dns *d)
{
    struct dns_unbound *u = unbound_of(d);

    dns_cancel(&u->anchor);
    loop_watch_stop(u->loop, &u->watch);
    loop_timer_stop(&u->fail);
    ub_ctx_delete(u->ctx);
    free(u);
}

static enum error refused(const struct dns_unbound *u, const char *what, const char *value,
                          int error)
{
    log_error(&u->log, "%s %s: %s", what, value,
              error == UB_READFILE ? error_errno_text(errno) : ub_strerror(error));
    return ERR_CONFIG;
}

static enum error set_options(struct dns_unbound *u)
{
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        int error = ub_ctx_set_option(u->ctx, options[i][0], options[i][1]);
        if (error)
            return refused(u, "libunbound does not take its option", options[i][0], error);
    }
    (void)ub_ctx_debugout(u->ctx, NULL); /* libraries do not log */
    (void)ub_ctx_async(u->ctx, 1);       /* a thread of its own */
    return ERR_OK;
}

/* Whom to ask, and what is known without asking. */
static enum error set_sources(struct dns_unbound *u, const struct config *config)
{
    const struct config_list *forwarders = &config->resolver_forwarders;
    int error;

    for (size_t i = 0; i < forwarders->count; i++) {
        error = ub_ctx_set_fwd(u->ctx, forwarders->items[i]);
        if (error)
            return refused(u, "resolver.forwarders wants IP or IP@PORT, not", forwarders->items[i],
                           error);
    }
    if (forwarders->count == 0 && config->resolver_resolv_conf[0] &&
        (error = ub_ctx_resolvconf(u->ctx, config->resolver_resolv_conf)) != 0) {
        if (config_given(config, "resolver.resolv_conf"))
            return refused(u, "resolver.resolv_conf: cannot use", config->resolver_resolv_conf,
                           error);
        log_warn(&u->log, "%s cannot be used: %s; names are looked up from the root of DNS",
                 config->resolver_resolv_conf, ub_strerror(error));
    }
    if (config->resolver_hosts[0] && (error = ub_ctx_hosts(u->ctx, config->resolver_hosts)) != 0)
        log_warn(&u->log, "resolver.hosts: %s is not used: %s", config->resolver_hosts,
                 ub_strerror(error));
    return ERR_OK;
}

static enum error set_anchor(struct dns_unbound *u, const char *file)
{
    bool given = file[0] != '\0';

    if (str_is(str_of(file), "none"))
        return ERR_OK;
    if (!given)
        file = ROOT_KEY;
    if (access(file, R_OK) == 0)
        return ub_ctx_add_ta_file(u->ctx, file) == 0 ? ERR_OK : ERR_CONFIG;
    if (given) {
        log_error(&u->log, "resolver.trust_anchor: cannot read %s: %s", file,
                  error_errno_text(errno));
        return ERR_CONFIG;
    }
    log_info(&u->log,
             "DNSSEC is off: there is no %s (Debian's package dns-root-data) and "
             "resolver.trust_anchor names none",
             file);
    return ERR_OK;
}

static void on_anchor(struct dns_question *q, const struct dns_answer *answer)
{
    struct dns_unbound *u = MEM_CONTAINER(q, struct dns_unbound, anchor);

    if (answer->status == DNS_BOGUS)
        log_warn(&u->log,
                 "the root zone does not match the trust anchor, so no name will be found: "
                 "either the DNS servers asked leave DNSSEC out (set resolver.forwarders to "
                 "better ones, or resolver.resolv_conf to \"\" to begin at the root), or the "
                 "anchor is wrong; resolver.trust_anchor \"none\" gives up validation");
    else if (answer->status == DNS_FAILED)
        log_warn(&u->log, "DNS does not answer; see resolver.forwarders and resolver.resolv_conf");
}

/* The first question makes the library read its files and start its thread. */
static enum error begin(struct dns_unbound *u)
{
    int error =
        ub_resolve_async(u->ctx, ".", DNS_DNSKEY, CLASS_IN, &u->anchor, on_result, &u->anchor.id);

    if (error)
        return refused(u, "libunbound cannot start:", "look at resolver.trust_anchor", error);
    u->anchor.dns = &u->base;
    return loop_watch_start(u->loop, &u->watch, ub_fd(u->ctx)) ? ERR_OK : ERR_SYSTEM;
}

static const struct dns_ops unbound_ops = {
    .ask = unbound_ask, .cancel = unbound_cancel, .destroy = unbound_destroy};

enum error dns_unbound_create(struct loop *l, const struct config *config, const struct log *log,
                              struct dns **ret)
{
    struct dns_unbound *u = MEM_NEW(struct dns_unbound);
    enum error e = ERR_SYSTEM;

    u->base.ops = &unbound_ops;
    u->loop = l;
    u->log = *log;
    u->watch.fn = on_readable;
    u->anchor.fn = on_anchor;
    list_init(&u->anchor.node);
    list_init(&u->failed);
    loop_timer_init(&u->fail, l, on_fail);
    u->ctx = ub_ctx_create();
    if (u->ctx)
        e = set_options(u);
    if (e == ERR_OK)
        e = set_sources(u, config);
    if (e == ERR_OK)
        e = set_anchor(u, config->resolver_trust_anchor);
    if (e == ERR_OK)
        e = begin(u);
    if (e != ERR_OK)
        unbound_destroy(&u->base);
    else
        *ret = &u->base;
    return e;
}
