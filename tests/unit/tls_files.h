/* A folder with certificates for the tests of TLS, and a server that has them. */
#ifndef JACKDAW_TESTS_TLS_FILES_H
#define JACKDAW_TESTS_TLS_FILES_H

#include "unit.h"

#include <unistd.h>

#include "net/tls.h"

static char dir[64], why[512];
static struct tls_server *server;

static inline const char *file(const char *name)
{
    static char paths[4][128];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", dir, name);
    return path;
}

static inline void add_domain(struct tls_server *s, const char *domain)
{
    char cert[300], key[300];
    snprintf(cert, sizeof cert, "%s/%s.pem", dir, domain);
    snprintf(key, sizeof key, "%s/%s-key.pem", dir, domain);
    assert_int_equal(tls_make_certificate(dir, domain, why, sizeof why), ERR_OK);
    if (tls_server_add(s, domain, cert, key, why, sizeof why) != ERR_OK)
        fail_msg("%s", why);
}

static inline void make_files(void)
{
    snprintf(dir, sizeof dir, "/tmp/jackdaw-test-tls-XXXXXX");
    assert_non_null(mkdtemp(dir));
    server = tls_server_create();
    add_domain(server, "one.example");
    add_domain(server, "two.example");
}

static inline int remove_files(void)
{
    char command[128];
    tls_server_unref(server);
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    return system(command);
}

#endif
