/* Our certificates towards other servers, as server and as client, and the authorities we trust.
 * The files are those that c2s shows to clients; whichever component starts first makes them where
 * they are missing. */
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "component/identity.h"
#include "s2s/s2s.h"
#include "xmpp/jid.h"

#define TLS_RELOAD_MS (24u * 3600 * 1000)

/* What one of our domains shows to servers we connect to. */
struct identity {
    char *name; /* NULL: for all that have no certificate */
    struct tls_client *starttls, *direct;
};

struct material {
    struct tls_server *starttls, *direct;
    struct identity *identities; /* the last is nobody's */
    size_t count;
    struct tls_trust *trust;
};

struct s2s_tls {
    struct s2s *s2s;
    struct material now, fresh;
    struct loop_timer daily;
};

static void material_finish(struct material *m)
{
    tls_server_unref(m->starttls);
    tls_server_unref(m->direct);
    for (size_t i = 0; i < m->count; i++) {
        tls_client_destroy(m->identities[i].starttls);
        tls_client_destroy(m->identities[i].direct);
        free(m->identities[i].name);
    }
    free(m->identities);
    tls_trust_destroy(m->trust);
    memset(m, 0, sizeof(*m));
}

static struct identity *identity_add(struct material *m, struct str name)
{
    struct identity *i = &m->identities[m->count++];

    i->name = name.data ? str_dup(name) : NULL;
    i->starttls = tls_client_create(NULL, false);
    i->direct = tls_client_create(NULL, false);
    tls_client_set_alpn(i->direct, "xmpp-server"); /* XEP-0368 section 3 */
    return i;
}

static const char *directory(const struct config *config)
{
    return config->s2s_certificates[0] ? config->s2s_certificates : config->c2s_certificates;
}

static enum error add_files(const struct s2s *s, struct material *m, const char *domain,
                            const struct identity_files *f)
{
    struct identity *i = identity_add(m, str_of(domain));
    char why[1024] = "";
    enum error e = tls_server_add(m->starttls, domain, f->cert, f->key, why, sizeof(why));

    if (e == ERR_OK)
        e = tls_server_add(m->direct, domain, f->cert, f->key, why, sizeof(why));
    if (e == ERR_OK)
        e = tls_client_set_certificate(i->starttls, f->cert, f->key, why, sizeof(why));
    if (e == ERR_OK)
        e = tls_client_set_certificate(i->direct, f->cert, f->key, why, sizeof(why));
    if (e != ERR_OK)
        log_error(&s->component->log, "certificate for %s: %s", domain, why);
    return e;
}

static enum error add_domain(const struct s2s *s, struct material *m, const char *domain)
{
    struct identity_files f;
    enum error e = identity_files(s->component, "s2s", directory(s2s_config(s)), domain, &f);

    return e == ERR_OK ? add_files(s, m, domain, &f) : e;
}

/* External components are domains of ours too (router.components, "name:secret"). They may do
 * without a certificate: then dialback is all that proves them. */
static enum error add_component(const struct s2s *s, struct material *m, const char *row)
{
    char domain[1024];
    const char *given = directory(s2s_config(s));
    struct identity_files f;
    struct str rest = str_of(row), text;
    size_t len;
    enum error e;

    if (!str_split(&rest, ':', &text) || !jid_prepare_domain(text, domain, &len))
        return ERR_OK; /* the router says what is wrong with it */
    domain[len] = '\0';
    e = identity_files(s->component, "s2s", given, domain, &f);
    if (e == ERR_OK && given[0] && access(f.cert, F_OK) != 0)
        return ERR_OK;
    return e == ERR_OK ? add_files(s, m, domain, &f) : e;
}

static enum error add_all(const struct s2s *s, struct material *m, const struct domains *domains)
{
    const struct config_list *components = &s2s_config(s)->router_components;
    enum error e = ERR_OK;

    m->identities =
        mem_alloc_array(domains->count + components->count + 1, sizeof(struct identity));
    for (size_t i = 0; i < domains->count && e == ERR_OK; i++)
        e = add_domain(s, m, domains->names[i]);
    for (size_t i = 0; i < components->count && e == ERR_OK; i++)
        e = add_component(s, m, components->items[i]);
    (void)identity_add(m, STR_NULL);
    return e;
}

static enum error load(const struct s2s *s, const struct domains *domains, struct material *m)
{
    const char *ca = s2s_config(s)->s2s_ca_file;
    char why[512] = "";

    memset(m, 0, sizeof(*m));
    m->trust = tls_trust_create(ca[0] ? ca : NULL, why, sizeof(why));
    if (!m->trust) {
        log_error(&s->component->log, "s2s.ca_file: %s", why);
        return ERR_CONFIG;
    }
    m->starttls = tls_server_create();
    m->direct = tls_server_create();
    tls_server_ask_peer(m->starttls);
    tls_server_ask_peer(m->direct);
    tls_server_set_alpn(m->direct, "xmpp-server");
    return add_all(s, m, domains);
}

enum error s2s_tls_prepare(struct s2s_tls *t, const struct domains *domains)
{
    enum error e = ERR_OK;

    if (strcmp(s2s_config(t->s2s)->s2s_tls, "off") != 0)
        e = load(t->s2s, domains, &t->fresh);
    if (e != ERR_OK)
        material_finish(&t->fresh);
    return e;
}

void s2s_tls_revert(struct s2s_tls *t)
{
    material_finish(&t->fresh);
}

void s2s_tls_commit(struct s2s_tls *t)
{
    material_finish(&t->now);
    t->now = t->fresh;
    memset(&t->fresh, 0, sizeof(t->fresh));
    loop_timer_stop(&t->daily);
    if (s2s_tls_on(t))
        loop_timer_start(&t->daily, TLS_RELOAD_MS);
}

bool s2s_tls_on(const struct s2s_tls *t)
{
    return t->now.starttls != NULL;
}

bool s2s_tls_prepared(const struct s2s_tls *t)
{
    return t->fresh.starttls != NULL;
}

/* c2s renews our own certificates 30 days before they end; whoever comes second reads them. */
static void on_daily(struct loop_timer *timer)
{
    struct s2s_tls *t = MEM_CONTAINER(timer, struct s2s_tls, daily);

    loop_timer_start(&t->daily, TLS_RELOAD_MS);
    if (!s2s_tls_prepared(t) && s2s_tls_prepare(t, &t->s2s->domains) == ERR_OK)
        s2s_tls_commit(t);
}

struct s2s_tls *s2s_tls_create(struct s2s *s)
{
    struct s2s_tls *t = MEM_NEW(struct s2s_tls);

    t->s2s = s;
    loop_timer_init(&t->daily, s2s_loop(s), on_daily);
    return t;
}

void s2s_tls_destroy(struct s2s_tls *t)
{
    if (!t)
        return;
    loop_timer_stop(&t->daily);
    material_finish(&t->now);
    material_finish(&t->fresh);
    free(t);
}

struct tls_server *s2s_tls_server(const struct s2s_tls *t, bool direct)
{
    return direct ? t->now.direct : t->now.starttls;
}

struct tls_client *s2s_tls_client(const struct s2s_tls *t, struct str local, bool direct)
{
    size_t i = 0;

    while (i + 1 < t->now.count && !str_is(local, t->now.identities[i].name))
        i++;
    return direct ? t->now.identities[i].direct : t->now.identities[i].starttls;
}

const struct tls_trust *s2s_tls_trust(const struct s2s_tls *t)
{
    return t->now.trust;
}
