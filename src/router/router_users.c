/* Users of the router: who may connect, with which secret, and what they may do. The built-in user
 * (router.user, with the installation's secret) may do everything; router.users adds others, e.g.
 * for processes of jabberd2. */
#include "router/router_impl.h"

#include <stdlib.h>

#include "base/mem.h"

static const struct {
    struct str name;
    unsigned bits;
} acl_names[] = {
#define X(id, text, bit) {{text, sizeof(text) - 1}, bit},
    ROUTER_ACLS(X)
#undef X
        {{"all", 3}, ACL_ALL},
};

static bool parse_acl(struct str text, unsigned *ret)
{
    struct str part;
    unsigned acl = 0;

    while (str_split(&text, '+', &part)) {
        size_t i = 0, n = sizeof(acl_names) / sizeof(acl_names[0]);
        while (i < n && !str_eq(acl_names[i].name, part))
            i++;
        if (i == n)
            return false;
        acl |= acl_names[i].bits;
    }
    *ret = acl;
    return true;
}

static bool parse_user(const char *item, struct router_user *ret)
{
    struct str rest = str_of(item), name, secret, acl_text;
    unsigned acl = 0;

    if (!str_split(&rest, ':', &name) || !name.len || !str_split(&rest, ':', &secret) ||
        !secret.len)
        return false;
    if (str_split(&rest, ':', &acl_text) && (!parse_acl(acl_text, &acl) || rest.data))
        return false;
    *ret = (struct router_user){str_dup(name), str_dup(secret), acl};
    return true;
}

void router_users_finish(struct router_users *users)
{
    for (size_t i = 0; i < users->count; i++) {
        mem_wipe(users->items[i].secret, strlen(users->items[i].secret));
        free(users->items[i].name);
        free(users->items[i].secret);
    }
    free(users->items);
    *users = (struct router_users){NULL, 0};
}

enum error router_users_load(struct router_users *users, const struct config *config,
                             const char *secret, const struct log *log)
{
    const struct config_list *list = &config->router_users;
    struct router_users fresh = {mem_alloc_array(list->count + 1, sizeof(*fresh.items)), 0};

    for (size_t i = 0; i < list->count; i++) {
        if (!parse_user(list->items[i], &fresh.items[fresh.count])) {
            /* The item holds a secret: name its place only. */
            log_error(log,
                      "router.users: item %zu is not name:secret or name:secret:acl+acl, with acl "
                      "of all, bind, "
                      "default-route, log",
                      i + 1);
            router_users_finish(&fresh);
            return ERR_CONFIG;
        }
        fresh.count++;
    }
    if (secret)
        fresh.items[fresh.count++] =
            (struct router_user){mem_strdup(config->router_user), mem_strdup(secret), ACL_ALL};
    router_users_finish(users);
    *users = fresh;
    return ERR_OK;
}

/* --- external components --- */

static bool serves(const struct config *config, struct str name)
{
    char buffer[1024];
    struct str domain;

    for (size_t i = 0; i < config->server_domains.count; i++)
        if (router_prepare_name(str_of(config->server_domains.items[i]), buffer, &domain) &&
            str_eq(domain, name))
            return true;
    return false;
}

/* NULL when all is well, else what is wrong with it. */
static const char *parse_external(const char *item, const struct config *config,
                                  const struct router_users *so_far, struct router_user *ret)
{
    struct str secret = str_of(item), text, name;
    char buffer[1024];

    if (!str_split(&secret, ':', &text) || !secret.len)
        return "is not name:secret";
    if (!router_prepare_name(text, buffer, &name) || name.len > 255)
        return "does not begin with a domain name like irc.example.org";
    if (serves(config, name))
        return "names a domain of users (server.domains); give the component one of its own, like "
               "irc.example.org";
    if (router_users_find(so_far, name))
        return "has the name of an earlier one";
    *ret = (struct router_user){str_dup(name), str_dup(secret), 0};
    return NULL;
}

enum error router_externals_load(struct router_users *externals, const struct config *config,
                                 const struct log *log)
{
    const struct config_list *list = &config->router_components;
    struct router_users fresh = {mem_alloc_array(list->count + 1, sizeof(*fresh.items)), 0};

    for (size_t i = 0; i < list->count; i++) {
        const char *wrong =
            parse_external(list->items[i], config, &fresh, &fresh.items[fresh.count]);
        if (wrong) {
            log_error(log, "router.components: item %zu %s", i + 1, wrong);
            router_users_finish(&fresh);
            return ERR_CONFIG;
        }
        fresh.count++;
    }
    router_users_finish(externals);
    *externals = fresh;
    return ERR_OK;
}

const struct router_user *router_users_find(const struct router_users *users, struct str name)
{
    for (size_t i = 0; i < users->count; i++)
        if (str_is(name, users->items[i].name))
            return &users->items[i];
    return NULL;
}
