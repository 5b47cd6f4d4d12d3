/* Loading, making and watching certificates: see certificates.h. */
#include "c2s/certificates.h"

#include <stdlib.h>

#include "base/mem.h"
#include "component/identity.h"

#define CERTIFICATES_WARN     14 /* days before the first one expires */
#define CERTIFICATES_CHECK_MS (24u * 3600 * 1000)

struct pair {
    struct tls_server *starttls, *direct; /* NULL: no domain encrypts */
};

struct certificates {
    struct c2s *c2s;
    struct pair now, fresh;
    struct loop_timer daily;
};

static void warn_of_expiry(struct certificates *c)
{
    const char *domain = NULL;
    int days =
        c->now.starttls ? tls_server_days_left(c->now.starttls, &domain) : CERTIFICATES_WARN + 1;

    if (days < 0)
        log_error(&c->c2s->component->log,
                  "the certificate of %s has expired: put a new one in its place and send SIGHUP",
                  domain ? domain : "?");
    else if (days <= CERTIFICATES_WARN)
        log_warn(
            &c->c2s->component->log,
            "the certificate of %s expires in %d days: put a new one in its place and send SIGHUP",
            domain ? domain : "?", days);
}

static void unload(struct pair *p)
{
    tls_server_unref(p->starttls);
    tls_server_unref(p->direct);
    *p = (struct pair){NULL, NULL};
}

static enum error load(const struct c2s *s, struct pair *to, const char *domain)
{
    struct identity_files files;
    char why[1024] = "";
    enum error e =
        identity_files(s->component, "c2s", c2s_config(s)->c2s_certificates, domain, &files);

    if (e != ERR_OK)
        return e;
    if (!to->starttls) {
        to->starttls = tls_server_create();
        to->direct = tls_server_create();
        tls_server_set_alpn(to->direct, "xmpp-client"); /* XEP-0368 section 3 */
    }
    e = tls_server_add(to->starttls, domain, files.cert, files.key, why, sizeof(why));
    if (e == ERR_OK)
        e = tls_server_add(to->direct, domain, files.cert, files.key, why, sizeof(why));
    if (e != ERR_OK)
        log_error(&s->component->log, "certificate for %s: %s", domain, why);
    return e;
}

enum error certificates_prepare(struct certificates *c, const struct domains *domains)
{
    enum error e = ERR_OK;

    for (size_t i = 0; i < domains->count && e == ERR_OK; i++)
        if (c2s_tls_of(c->c2s, domains->names[i]) != C2S_TLS_OFF)
            e = load(c->c2s, &c->fresh, domains->names[i]);
    if (e != ERR_OK)
        unload(&c->fresh);
    return e;
}

bool certificates_prepared(const struct certificates *c)
{
    return c->fresh.starttls != NULL;
}

void certificates_commit(struct certificates *c)
{
    unload(&c->now);
    c->now = c->fresh;
    c->fresh = (struct pair){NULL, NULL};
    loop_timer_stop(&c->daily);
    if (!c->now.starttls)
        return;
    warn_of_expiry(c);
    loop_timer_start(&c->daily, CERTIFICATES_CHECK_MS);
}

void certificates_revert(struct certificates *c)
{
    unload(&c->fresh);
}

/* Our own certificates are renewed 30 days before they end: then this is all that is needed. */
static void on_daily(struct loop_timer *timer)
{
    struct certificates *c = MEM_CONTAINER(timer, struct certificates, daily);

    loop_timer_start(&c->daily, CERTIFICATES_CHECK_MS);
    if (certificates_prepared(c))
        return; /* a reload is under way */
    if (certificates_prepare(c, &c->c2s->domains) == ERR_OK)
        certificates_commit(c);
    else
        warn_of_expiry(c);
}

struct certificates *certificates_create(struct c2s *s)
{
    struct certificates *c = MEM_NEW(struct certificates);

    c->c2s = s;
    loop_timer_init(&c->daily, c2s_loop(s), on_daily);
    return c;
}

void certificates_destroy(struct certificates *c)
{
    if (!c)
        return;
    loop_timer_stop(&c->daily);
    unload(&c->now);
    unload(&c->fresh);
    free(c);
}

struct tls_server *certificates_starttls(const struct certificates *c)
{
    return c->now.starttls;
}

struct tls_server *certificates_direct(const struct certificates *c)
{
    return c->now.direct;
}
