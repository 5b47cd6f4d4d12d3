/* Loading, making and watching certificates: see certificates.h. */
#include "c2s/certificates.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"

#define CERTIFICATES_PATH     4096
#define CERTIFICATES_WARN     14 /* days before the first one expires */
#define CERTIFICATES_CHECK_MS (24u * 3600 * 1000)

struct certificates {
    struct c2s *c2s;
    struct tls_server *starttls, *direct;
    struct loop_timer daily;
};

static bool directory(const struct c2s *s, char out[CERTIFICATES_PATH], bool *ret_own)
{
    const char *given = c2s_config(s)->c2s_certificates, *data = s->component->env->data_dir;
    int n;

    *ret_own = !given[0];
    if (given[0])
        n = snprintf(out, CERTIFICATES_PATH, "%s", given);
    else if (data[0])
        n = snprintf(out, CERTIFICATES_PATH, "%s/certificates", data);
    else
        n = -1;
    if (n > 0 && n < CERTIFICATES_PATH)
        return true;
    log_error(&s->component->log,
              "there is no directory for certificates: set c2s.certificates, or c2s.tls=off");
    return false;
}

static enum error add(const struct c2s *s, struct tls_server *starttls, struct tls_server *direct,
                      const char *dir, const char *domain)
{
    char cert[CERTIFICATES_PATH + 512], key[CERTIFICATES_PATH + 512], why[1024] = "";
    enum error e;

    (void)snprintf(cert, sizeof(cert), "%s/%s.pem", dir, domain);
    (void)snprintf(key, sizeof(key), "%s/%s-key.pem", dir, domain);
    e = tls_server_add(starttls, domain, cert, key, why, sizeof(why));
    if (e == ERR_OK)
        e = tls_server_add(direct, domain, cert, key, why, sizeof(why));
    if (e != ERR_OK)
        log_error(&s->component->log, "certificate for %s: %s", domain, why);
    return e;
}

static enum error make(const struct c2s *s, const char *dir, const char *domain)
{
    char why[1024] = "";
    enum error e = tls_make_certificate(dir, domain, why, sizeof(why));

    if (e != ERR_OK)
        log_error(&s->component->log, "cannot make a certificate for %s in %s: %s", domain, dir,
                  why);
    return e;
}

static void warn_of_expiry(struct certificates *c)
{
    const char *domain = NULL;
    int days = c->starttls ? tls_server_days_left(c->starttls, &domain) : CERTIFICATES_WARN + 1;

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

enum error certificates_reload(struct certificates *c)
{
    struct c2s *s = c->c2s;
    struct tls_server *starttls, *direct;
    char dir[CERTIFICATES_PATH];
    bool own;
    enum error e = ERR_OK;

    if (s->tls == C2S_TLS_OFF)
        return ERR_OK;
    if (!directory(s, dir, &own))
        return ERR_CONFIG;
    starttls = tls_server_create();
    direct = tls_server_create();
    tls_server_set_alpn(direct, "xmpp-client"); /* XEP-0368 section 3 */
    for (size_t i = 0; i < s->domains.count && e == ERR_OK; i++) {
        if (own)
            e = make(s, dir, s->domains.names[i]);
        if (e == ERR_OK)
            e = add(s, starttls, direct, dir, s->domains.names[i]);
    }
    if (e != ERR_OK) {
        tls_server_unref(starttls);
        tls_server_unref(direct);
        return e;
    }
    tls_server_unref(c->starttls);
    tls_server_unref(c->direct);
    c->starttls = starttls;
    c->direct = direct;
    warn_of_expiry(c);
    loop_timer_start(&c->daily, CERTIFICATES_CHECK_MS);
    return ERR_OK;
}

/* Our own certificates are renewed 30 days before they end: then this is all that is needed. */
static void on_daily(struct loop_timer *timer)
{
    struct certificates *c = MEM_CONTAINER(timer, struct certificates, daily);

    if (certificates_reload(c) != ERR_OK) {
        warn_of_expiry(c);
        loop_timer_start(&c->daily, CERTIFICATES_CHECK_MS);
    }
}

struct certificates *certificates_create(struct c2s *s)
{
    struct certificates *c = MEM_NEW(struct certificates);

    c->c2s = s;
    loop_timer_init(&c->daily, c2s_loop(s), on_daily);
    if (certificates_reload(c) == ERR_OK)
        return c;
    certificates_destroy(c);
    return NULL;
}

void certificates_destroy(struct certificates *c)
{
    if (!c)
        return;
    loop_timer_stop(&c->daily);
    tls_server_unref(c->starttls);
    tls_server_unref(c->direct);
    free(c);
}

struct tls_server *certificates_starttls(const struct certificates *c)
{
    return c->starttls;
}

struct tls_server *certificates_direct(const struct certificates *c)
{
    return c->direct;
}
