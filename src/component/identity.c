/* Files of certificates: see identity.h. */
#include "component/identity.h"

#include <stdio.h>

#include "net/tls.h"

static bool join(char *out, const char *directory, const char *domain, const char *ending)
{
    int n = snprintf(out, 4096, "%s/%s%s", directory, domain, ending);

    return n > 0 && n < 4096;
}

static enum error in_directory(const struct component *c, const char *section,
                               const char *directory, const char *domain,
                               struct identity_files *ret)
{
    char own[3000], why[1024] = "";
    enum error e = ERR_OK;

    if (!directory[0] && !c->env->data_dir[0]) {
        log_error(&c->log,
                  "there is no directory for certificates: set %s.certificates, or %s.tls=off",
                  section, section);
        return ERR_CONFIG;
    }
    if (!directory[0]) {
        (void)snprintf(own, sizeof(own), "%s/certificates", c->env->data_dir);
        directory = own;
        e = tls_make_certificate(own, domain, why, sizeof(why));
    }
    if (e != ERR_OK)
        log_error(&c->log, "cannot make a certificate for %s in %s: %s", domain, directory, why);
    else if (!join(ret->cert, directory, domain, ".pem") ||
             !join(ret->key, directory, domain, "-key.pem"))
        e = ERR_TOO_BIG;
    return e;
}

enum error identity_files(const struct component *c, const char *section, const char *directory,
                          const char *domain, struct identity_files *ret)
{
    const struct config *config = config_for(c->env->config, str_of(domain));

    if (!config->domain_certificate[0])
        return in_directory(c, section, directory, domain, ret);
    /* Both in one file is usual, too. */
    (void)snprintf(ret->cert, sizeof(ret->cert), "%s", config->domain_certificate);
    (void)snprintf(ret->key, sizeof(ret->key), "%s",
                   config->domain_key[0] ? config->domain_key : config->domain_certificate);
    return ERR_OK;
}

/* --- the router's --- */

static enum error make_router_identity(const struct env *env, char directory[4096], char *why,
                                       size_t why_size)
{
    (void)snprintf(directory, 4096, "%s/router-certificates", env->data_dir);
    return tls_make_certificate(directory, env->config->router_address, why, why_size);
}

enum error identity_router(const struct env *env, struct identity_files *ret, char *why,
                           size_t why_size)
{
    const struct config *config = env->config;
    const char *cert = config->router_certificate, *key = config->router_key;
    char directory[4096];
    enum error e;

    if (cert[0]) {
        (void)snprintf(ret->cert, sizeof(ret->cert), "%s", cert);
        (void)snprintf(ret->key, sizeof(ret->key), "%s", key[0] ? key : cert);
        return ERR_OK;
    }
    e = make_router_identity(env, directory, why, why_size);
    if (e == ERR_OK && (!join(ret->cert, directory, config->router_address, ".pem") ||
                        !join(ret->key, directory, config->router_address, "-key.pem")))
        e = ERR_TOO_BIG;
    return e;
}

struct tls_client *identity_router_trust(const struct env *env, char *why, size_t why_size)
{
    const char *ca = env->config->router_ca_file;
    char directory[4096], own[4096];
    struct tls_client *made;

    if (!ca[0]) {
        if (make_router_identity(env, directory, why, why_size) != ERR_OK ||
            !join(own, directory, "ca", ".pem"))
            return NULL;
        ca = own;
    }
    made = tls_client_create(ca, true);
    if (!made)
        (void)snprintf(why, why_size, "%s: no authorities can be read from it", ca);
    return made;
}
