/* The choice of the driver. */
#include "c2s/auth.h"

#include <string.h>

struct auth *auth_open(const struct component *c)
{
    if (strcmp(c->env->config->auth_driver, "store") == 0)
        return auth_store_open(c);
    return auth_program_open(c);
}

void auth_close(struct auth *a)
{
    if (a)
        a->driver->close(a);
}
