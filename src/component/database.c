/* Where each of the two stores is. */
#include "component/database.h"

#include <stdio.h>

#include "base/str.h"

void database_url(const struct config *config, const char *data_dir, enum store_kind kind,
                  char *out, size_t size)
{
    const char *users = config->store_url;
    const char *url = kind == STORE_USERS ? users : config->store_accounts_url;
    if (!*url && str_starts(str_of(users), STR("postgresql:")))
        url = users;
    if (*url)
        (void)snprintf(out, size, "%s", url);
    else if (*data_dir)
        (void)snprintf(out, size, "sqlite:%s/%s.db", data_dir,
                       kind == STORE_USERS ? "jackdaw" : "accounts");
    else
        (void)snprintf(out, size, "memory:");
}
