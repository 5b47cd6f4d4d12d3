/* `jackdaw check`: is this configuration one the server can run with? Reading it has found mistyped
 * names and values; here is what needs the machine and the protocol to judge: domains, addresses,
 * certificates, files. Every message names where the value was written and what to write instead.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"
#include "component/database.h"
#include "config/admin_entry.h"
#include "net/socket_address.h"
#include "net/tls.h"
#include "xmpp/jid.h"
#include "xmpp/sasl.h"

enum { EXPIRY_WARNING_DAYS = 14 };

struct check {
    const struct config *config;
    char data_dir[CLI_PATH_MAX];
    bool running; /* a server uses this data directory: its ports are taken by itself */
    size_t problems;
};

static void problem(struct check *c, const char *setting, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
static void problem(struct check *c, const char *setting, const char *fmt, ...)
{
    va_list args;
    fprintf(stderr, "%s: %s: ", config_origin(c->config, setting), setting);
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fputc('\n', stderr);
    c->problems++;
}

/* --- names --- */

static void check_domains(struct check *c)
{
    const struct config_list *list = &c->config->server_domains;
    if (list->count == 0)
        problem(c, "server.domains", "there is none: write at least one, e.g. \"example.org\"");
    for (size_t i = 0; i < list->count; i++) {
        char prepared[1024];
        size_t len;
        if (!jid_prepare_domain(str_of(list->items[i]), prepared, &len))
            problem(c, "server.domains", "\"%s\" is no domain name: write one like \"example.org\"",
                    list->items[i]);
        else if (!str_is((struct str){prepared, len}, list->items[i]))
            problem(c, "server.domains", "\"%s\" is written \"%.*s\"", list->items[i], (int)len,
                    prepared);
        for (size_t j = 0; j < i; j++)
            if (strcmp(list->items[i], list->items[j]) == 0)
                problem(c, "server.domains", "\"%s\" is named twice: remove one", list->items[i]);
    }
}

static void check_admins(struct check *c)
{
    const struct config_list *list = &c->config->server_admins;
    for (size_t i = 0; i < list->count; i++) {
        struct str domains, one;
        struct jid *jid = admin_entry_read(str_of(list->items[i]), &domains);
        char prepared[1024];
        size_t len;
        if (!jid)
            problem(c, "server.admins",
                    "\"%s\" is no account: write NAME@DOMAIN, or NAME@DOMAIN=DOMAIN+DOMAIN",
                    list->items[i]);
        while (jid && str_split(&domains, '+', &one))
            if (!jid_prepare_domain(one, prepared, &len))
                problem(c, "server.admins", "\"%.*s\" in \"%s\" is no domain name", STR_ARG(one),
                        list->items[i]);
        jid_unref(jid);
    }
}

static void check_mechanisms(struct check *c)
{
    const struct config_list *list = &c->config->c2s_mechanisms;
    if (list->count == 0)
        problem(c, "c2s.mechanisms",
                "there is none, nobody could log in: write e.g. SCRAM-SHA-256");
    for (size_t i = 0; i < list->count; i++)
        if (sasl_mechanism_parse(str_of(list->items[i])) == SASL_NONE)
            problem(
                c, "c2s.mechanisms",
                "\"%s\" is not known: write SCRAM-SHA-512, SCRAM-SHA-256, SCRAM-SHA-1 (each also "
                "with -PLUS) or PLAIN",
                list->items[i]);
}

/* Each item must have `separator` with something on both sides. */
static void check_pairs(struct check *c, const char *setting, const struct config_list *list,
                        char separator, const char *form)
{
    for (size_t i = 0; i < list->count; i++) {
        const char *at = strchr(list->items[i], separator);
        if (!at || at == list->items[i] || !at[1])
            problem(c, setting, "item %zu is not of the form %s", i + 1, form);
    }
}

/* What it names must be a domain, and none of the users'. Never shows the secret. */
static void check_components(struct check *c)
{
    const struct config_list *list = &c->config->router_components,
                             *domains = &c->config->server_domains;

    check_pairs(c, "router.components", list, ':', "name:secret, e.g. irc.example.org:SECRET");
    for (size_t i = 0; i < list->count; i++) {
        struct str rest = str_of(list->items[i]), name;
        char prepared[1024];
        size_t len;
        if (!str_split(&rest, ':', &name) || !name.len)
            continue;
        if (!jid_prepare_domain(name, prepared, &len) || len > 255) {
            problem(c, "router.components",
                    "\"%.*s\" is no domain name: write one like "
                    "irc.example.org",
                    STR_ARG(name));
            continue;
        }
        for (size_t k = 0; k < domains->count; k++)
            if (str_is((struct str){prepared, len}, domains->items[k]))
                problem(c, "router.components",
                        "\"%s\" is a domain of users (server.domains): "
                        "give the component one of its own",
                        domains->items[k]);
    }
}

static void check_router_lists(struct check *c)
{
    check_components(c);
    check_pairs(c, "router.users", &c->config->router_users, ':',
                "name:secret or name:secret:acl+acl");
    check_pairs(c, "router.aliases", &c->config->router_aliases, '=', "name=target");
}

static void check_contacts(struct check *c)
{
    check_pairs(c, "sm.shared_groups", &c->config->sm_shared_groups, '=', "NAME=JID JID ...");
    check_pairs(c, "sm.template_roster", &c->config->sm_template_roster, '=', "JID=NAME");
    check_pairs(c, "server.contact", &c->config->server_contact, ':',
                "KIND:ADDRESS, e.g. abuse:mailto:abuse@example.org");
}

/* --- addresses --- */

static void bind_failed(struct check *c, const char *setting, const struct net_address *at, int why)
{
    if (why == EADDRNOTAVAIL)
        problem(c, setting,
                "this machine has no address %s: write one of its own, or 0.0.0.0 and :: for all",
                at->ip);
    else if (why == EACCES)
        problem(c, setting,
                "port %u may not be opened by this user: write one above 1023, or give the service "
                "CAP_NET_BIND_SERVICE",
                at->port);
    else if (why == EADDRINUSE && !c->running)
        problem(c, setting,
                "port %u on %s is in use by another program: stop it or write another port",
                at->port, at->ip);
    else if (why != EADDRINUSE && why != EAFNOSUPPORT)
        problem(c, setting, "%s port %u cannot be used: %s", at->ip, at->port, strerror(why));
}

static void try_address(struct check *c, const char *setting, const char *ip, int64_t port)
{
    struct net_address at = {.port = (uint16_t)port};
    union socket_address address;
    socklen_t len;
    int on = 1;
    snprintf(at.ip, sizeof at.ip, "%s", ip);
    if (strlen(ip) >= sizeof at.ip || !socket_address_parse(&at, &address, &len)) {
        problem(c, setting, "\"%s\" is no IP address: write e.g. 127.0.0.1, ::1 or 0.0.0.0", ip);
        return;
    }
    if (port == 0 || address.any.sa_family == AF_UNIX)
        return;
    int fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return; /* a machine without IPv6 */
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (address.any.sa_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (bind(fd, &address.any, len) != 0 || listen(fd, 1) != 0)
        bind_failed(c, setting, &at, errno);
    close(fd);
}

/* RFC 6120 section 4.9.3.19: "domainpart:port", IPv6 addresses in brackets. */
static void check_location(struct check *c)
{
    const char *text = c->config->c2s_resume_location, *end = strchr(text, ']');
    const char *port = strchr(*text == '[' && end ? end : text, ':');
    size_t len = strlen(text);
    uint64_t number;
    if (len == 0)
        return;
    if (len > 261 || port == text || strpbrk(text, " \t<>&'\"/@") ||
        (*text == '[' && (!end || end == text + 1 || (end[1] && end[1] != ':'))) ||
        (port && (!str_to_u64(str_of(port + 1), 65535, &number) || number == 0)))
        problem(c, "c2s.resume_location",
                "\"%s\" is no place to come back to: write HOST, HOST:PORT or [IPv6]:PORT", text);
}

static void check_addresses(struct check *c)
{
    const struct config *k = c->config;
    check_location(c);
    for (size_t i = 0; i < k->c2s_address.count; i++) {
        try_address(c, "c2s.address", k->c2s_address.items[i], k->c2s_port);
        if (k->c2s_tls_port != k->c2s_port)
            try_address(c, "c2s.address", k->c2s_address.items[i], k->c2s_tls_port);
    }
    bool s2s = k->s2s_enabled && (config_given(k, "s2s.enabled") || config_given(k, "s2s.port") ||
                                  config_given(k, "s2s.address"));
    for (size_t i = 0; s2s && i < k->s2s_address.count; i++) {
        try_address(c, "s2s.address", k->s2s_address.items[i], k->s2s_port);
        if (k->s2s_tls_port != k->s2s_port)
            try_address(c, "s2s.address", k->s2s_address.items[i], k->s2s_tls_port);
    }
    if (k->c2s_port && k->c2s_port == k->c2s_tls_port)
        problem(c, "c2s.tls_port",
                "it is the same as c2s.port: write another, or 0 to switch it off");
    try_address(c, "router.address", k->router_address, k->router_port);
    if (k->router_port == 0 && strcmp(k->server_placement, "processes") == 0)
        problem(c, "router.port", "processes need the router's port: write 5347");
}

/* --- files --- */

/* Those the operator brings: ours are made and renewed by the server. */
static bool check_certificate(struct check *c, struct tls_server *server, const char *domain)
{
    const struct config *own = config_for(c->config, str_of(domain));
    const char *dir = c->config->c2s_certificates, *file = own->domain_certificate;
    char cert[CLI_PATH_MAX], key[CLI_PATH_MAX], why[1024] = "";
    if (strcmp(own->domain_tls, "off") == 0 || (!*dir && !*file))
        return false;
    snprintf(cert, sizeof cert, "%s/%s.pem", dir, domain);
    snprintf(key, sizeof key, "%s/%s-key.pem", dir, domain);
    if (*file) {
        snprintf(cert, sizeof cert, "%s", file);
        snprintf(key, sizeof key, "%s", *own->domain_key ? own->domain_key : file);
    }
    if (tls_server_add(server, domain, cert, key, why, sizeof why) == ERR_OK)
        return true;
    fprintf(stderr, "%s: %s\n",
            config_origin(own, *file ? "domain.certificate" : "c2s.certificates"), why);
    c->problems++;
    return false;
}

static void check_certificates(struct check *c)
{
    const struct config_list *domains = &c->config->server_domains;
    struct tls_server *server = tls_server_create();
    bool any = false;
    for (size_t i = 0; i < domains->count; i++)
        any |= check_certificate(c, server, domains->items[i]);
    const char *domain = NULL;
    int days = any ? tls_server_days_left(server, &domain) : EXPIRY_WARNING_DAYS + 1;
    if (domain && days < EXPIRY_WARNING_DAYS)
        fprintf(stderr, "note: the certificate of %s %s\n", domain,
                days < 0 ? "has expired" : "expires within 14 days");
    tls_server_unref(server);
}

static void check_secret(struct check *c)
{
    const char *path = c->config->router_secret_file;
    struct stat st;
    if (!*path)
        return;
    if (access(path, R_OK) != 0 || stat(path, &st) != 0)
        problem(c, "router.secret_file", "cannot read %s: %s", path, strerror(errno));
    else if (!S_ISREG(st.st_mode) || st.st_size == 0)
        problem(c, "router.secret_file", "%s is not a file with a secret in its first line", path);
    else if (st.st_mode & 077)
        problem(c, "router.secret_file", "%s can be read by others: chmod 600 %s", path, path);
}

static void check_store(struct check *c, const char *setting, const char *url)
{
    static const char scheme[] = "sqlite:";
    if (!*url || strcmp(url, "memory:") == 0 || str_starts(str_of(url), STR("postgresql://")))
        return;
    const char *path = url + strlen(scheme);
    if (strncmp(url, scheme, strlen(scheme)) != 0 || !*path)
        problem(c, setting,
                "\"%s\" is no database this version can use: write sqlite:PATH or "
                "postgresql://USER@HOST/DATABASE",
                url);
    else if (access(path, F_OK) == 0 && access(path, R_OK | W_OK) != 0)
        problem(c, setting, "cannot use %s: %s", path, strerror(errno));
}

static void check_files(struct check *c)
{
    if (access(c->data_dir, R_OK | W_OK | X_OK) != 0)
        problem(c, "server.data", "cannot use %s: %s", c->data_dir, strerror(errno));
    check_secret(c);
    check_store(c, "store.url", c->config->store_url);
    check_store(c, "store.accounts_url", c->config->store_accounts_url);
    if (strcmp(c->config->server_placement, "threads") == 0 && database_in_memory(c->config))
        problem(c, "store.url",
                "memory: would be a database for each loop of server.placement=threads: write "
                "sqlite:PATH or nothing");
}

static void (*const checks[])(struct check *c) = {
    check_domains,  check_admins,    check_mechanisms,   check_router_lists,
    check_contacts, check_addresses, check_certificates, check_files,
};

int cli_check(struct cli_options *o)
{
    if (o->argc > 0) {
        cli_error(
            "'check' takes no argument '%s'; to check a file write: jackdaw check --config %s",
            o->argv[0], o->argv[0]);
        return 2;
    }
    if (o->reference) {
        config_print_reference(stdout);
        return 0;
    }
    struct config *config = cli_config(o);
    struct check c = {.config = config};
    if (!config)
        return 1;
    if (cli_data_dir(config, c.data_dir)) {
        c.running = control_server_runs(c.data_dir);
        for (size_t i = 0; i < sizeof checks / sizeof *checks; i++)
            checks[i](&c);
    } else {
        c.problems++;
    }
    if (c.problems == 0)
        printf("%s: no problem found\n", o->config_file ? o->config_file : "the configuration");
    config_destroy(config);
    return c.problems ? 1 : 0;
}
