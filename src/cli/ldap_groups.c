/* Shared groups out of an LDAP directory: the entries below ldap.group_base that ldap.group_filter
 * finds. Their members are told as user names (posixGroup's memberUid), as JIDs, or as DNs
 * (groupOfNames' member): of those the name stands in the DN itself, or in the entry it leads to.
 *
 * `jackdaw auth groups` shows them to a person. A session manager's helper process is this program,
 * too, and answers on a socket (component/group_source.h); it may block, the server never does. */
#include <ctype.h>
#include <ldap.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/mem.h"
#include "cli/auth_answer.h"
#include "cli/cli.h"
#include "cli/ldap_directory.h"
#include "cli/ldap_kept.h"
#include "component/group_source.h"
#include "net/net.h"
#include "xmpp/jid.h"

#define ATTRIBUTES_MAX 32

struct groups {
    struct ldap_directory directory;
    LDAP *ldap; /* while they are read */
    const char *domain;
    struct buffer text;      /* as group_source.h says, without the last line */
    struct buffer kept;      /* what it was the last time that the directory answered, if ever */
    char path[CLI_PATH_MAX]; /* of the file with that */
};

/* --- one member --- */

static void add_member(struct groups *g, struct str local, struct str domain)
{
    struct jid *jid = jid_from_parts(local, domain, STR_NULL);

    if (jid)
        buffer_printf(&g->text, "member %s\n", jid->text);
    jid_unref(jid);
}

static void add_address(struct groups *g, struct str text)
{
    struct jid *jid = jid_parse(text), *bare = jid ? jid_to_bare(jid) : NULL;

    if (bare && bare->local_len)
        buffer_printf(&g->text, "member %s\n", bare->text);
    jid_unref(bare);
    jid_unref(jid);
}

static void add_name(struct groups *g, const struct berval *value)
{
    struct str text = {value->bv_val, value->bv_len};

    if (memchr(text.data, '@', text.len))
        add_address(g, text);
    else
        add_member(g, text, str_of(g->domain));
}

/* The name in the first RDN: uid=romeo,ou=people,... */
static bool add_by_rdn(struct groups *g, LDAPDN dn)
{
    const char *attribute = g->directory.config->ldap_group_user;

    for (size_t i = 0; dn && dn[0] && dn[0][i]; i++) {
        const struct berval *name = &dn[0][i]->la_attr;
        if (name->bv_len == strlen(attribute) &&
            strncasecmp(name->bv_val, attribute, name->bv_len) == 0) {
            add_name(g, &dn[0][i]->la_value);
            return true;
        }
    }
    return false;
}

/* Who has gone from the directory is no member. */
static bool add_by_entry(struct groups *g, const char *dn)
{
    char *attributes[] = {(char *)g->directory.config->ldap_group_user, NULL};
    LDAPMessage *found = NULL, *entry;
    int e = ldap_search_ext_s(g->ldap, dn, LDAP_SCOPE_BASE, "(objectClass=*)", attributes, 0, NULL,
                              NULL, NULL, 1, &found);
    bool ok = e == LDAP_NO_SUCH_OBJECT || e == LDAP_REFERRAL ||
              ldap_directory_told(e, "read a member", g->directory.config);
    struct berval **values = NULL;

    if (e == LDAP_SUCCESS && (entry = ldap_first_entry(g->ldap, found)) != NULL)
        values = ldap_get_values_len(g->ldap, entry, attributes[0]);
    if (values && values[0])
        add_name(g, values[0]);
    ldap_value_free_len(values);
    (void)ldap_msgfree(found);
    return ok;
}

static bool add_value(struct groups *g, const struct berval *value)
{
    LDAPDN dn = NULL;
    bool ok = true;

    if (memchr(value->bv_val, '=', value->bv_len) &&
        ldap_str2dn(value->bv_val, &dn, LDAP_DN_FORMAT_LDAPV3) == LDAP_SUCCESS) {
        if (!add_by_rdn(g, dn))
            ok = add_by_entry(g, value->bv_val);
    } else {
        add_name(g, value);
    }
    ldap_dnfree(dn);
    return ok;
}

/* --- one group --- */

static bool is_name(const struct berval *value)
{
    if (value->bv_len == 0 || value->bv_len > 1023 ||
        !str_utf8_valid((struct str){value->bv_val, value->bv_len}))
        return false;
    for (size_t i = 0; i < value->bv_len; i++)
        if (iscntrl((unsigned char)value->bv_val[i]))
            return false;
    return true;
}

static bool add_group(struct groups *g, LDAPMessage *entry)
{
    const struct config *config = g->directory.config;
    struct berval **names = ldap_get_values_len(g->ldap, entry, config->ldap_group_name);
    bool ok = true;

    if (names && names[0] && is_name(names[0])) {
        buffer_printf(&g->text, "group %.*s\n", (int)names[0]->bv_len, names[0]->bv_val);
        for (size_t i = 0; i < config->ldap_group_members.count && ok; i++) {
            struct berval **members =
                ldap_get_values_len(g->ldap, entry, config->ldap_group_members.items[i]);
            for (size_t k = 0; members && members[k] && ok; k++)
                ok = add_value(g, members[k]);
            ldap_value_free_len(members);
        }
    }
    ldap_value_free_len(names);
    return ok;
}

/* --- all of them --- */

static bool search(struct groups *g)
{
    const struct config *config = g->directory.config;
    char *attributes[ATTRIBUTES_MAX + 2] = {(char *)config->ldap_group_name};
    LDAPMessage *found = NULL;
    bool ok;

    for (size_t i = 0; i < config->ldap_group_members.count && i < ATTRIBUTES_MAX; i++)
        attributes[i + 1] = config->ldap_group_members.items[i];
    ok = ldap_directory_told(ldap_search_ext_s(g->ldap, config->ldap_group_base, LDAP_SCOPE_SUBTREE,
                                               config->ldap_group_filter, attributes, 0, NULL, NULL,
                                               NULL, LDAP_NO_LIMIT, &found),
                             "search for groups", config);
    for (LDAPMessage *e = ok ? ldap_first_entry(g->ldap, found) : NULL; e && ok;
         e = ldap_next_entry(g->ldap, e))
        ok = add_group(g, e);
    (void)ldap_msgfree(found);
    return ok;
}

/* Into g->text. A connection each time: they are read every some minutes. */
static bool read_groups(struct groups *g)
{
    bool ok;

    buffer_clear(&g->text);
    g->ldap = ldap_directory_open(g->directory.config);
    if (!g->ldap)
        return false;
    ok = ldap_directory_bind(&g->directory, g->ldap) && search(g) && !g->text.overflowed;
    (void)ldap_unbind_ext_s(g->ldap, NULL, NULL);
    g->ldap = NULL;
    return ok;
}

static bool groups_init(struct groups *g, const struct config *config)
{
    if (!config->ldap_group_base[0]) {
        cli_error("say in ldap.group_base where the groups are");
        return false;
    }
    g->domain =
        config->ldap_group_domain[0] ? config->ldap_group_domain : config->server_domains.items[0];
    buffer_init(&g->text, GROUP_SOURCE_BYTES - 64);
    buffer_init(&g->kept, GROUP_SOURCE_BYTES - 64);
    return ldap_directory_init(&g->directory, config);
}

static void groups_finish(struct groups *g, struct config *config)
{
    buffer_finish(&g->text);
    buffer_finish(&g->kept);
    mem_wipe(g->directory.bind_password, sizeof(g->directory.bind_password));
    config_destroy(config);
}

int ldap_groups(struct cli_options *o)
{
    struct config *config = cli_config(o);
    struct groups g = {.ldap = NULL};
    bool ok = config && groups_init(&g, config) && read_groups(&g);

    if (ok)
        printf("%.*s", STR_ARG(buffer_str(&g.text)));
    groups_finish(&g, config);
    return ok ? 0 : 1;
}

/* --- on a socket --- */

struct asker {
    struct groups *groups;
    struct conn *conn;
};

static void keep(struct groups *g)
{
    if (str_eq(buffer_str(&g->text), buffer_str(&g->kept)))
        return;
    buffer_clear(&g->kept);
    (void)buffer_add_str(&g->kept, buffer_str(&g->text));
    ldap_kept_write(g->path, buffer_str(&g->kept));
}

static void on_data(void *owner, const char *bytes, size_t len)
{
    struct asker *a = owner;
    struct groups *g = a->groups;

    if (!memchr(bytes, '\n', len)) /* the question is one short line */
        return;
    bool ok = read_groups(g);
    if (ok)
        keep(g);
    (void)conn_write(a->conn, buffer_str(&g->kept).data, buffer_len(&g->kept));
    if (ok)
        (void)conn_write(a->conn, "end\n", 4);
    else
        (void)conn_write(a->conn, "error\n", 6); /* why is on stderr */
}

static void on_close(void *owner, enum error e, const char *why)
{
    struct asker *a = owner;

    (void)e, (void)why;
    conn_close(a->conn, 0);
    free(a);
}

static const struct conn_events asker_events = {.on_data = on_data, .on_close = on_close};

static void on_accept(void *arg, struct conn *conn)
{
    struct asker *a = MEM_NEW(struct asker);

    a->groups = arg;
    a->conn = conn;
    conn_start(conn, &asker_events, a, GROUP_SOURCE_BYTES);
}

static void on_signal(void *arg, int signum)
{
    (void)signum;
    loop_stop(arg);
}

static bool serve(struct groups *g, const char *data_dir, const char *sm_id)
{
    struct log_sink *sink = log_sink_create(stderr, LOG_INFO, LOG_TEXT);
    struct log log = {.sink = sink, .component = "groups"};
    struct loop *loop = loop_create();
    struct net *net = net_create(loop, log);
    struct net_listener *listener = NULL;
    struct net_address at = {.port = 0};
    bool ok = group_source_path(data_dir, sm_id, at.ip, sizeof(at.ip));

    if (ok) {
        (void)unlink(at.ip + strlen("unix:"));
        (void)snprintf(g->path, sizeof g->path, "%s.last", at.ip + strlen("unix:"));
        ldap_kept_read(g->path, &g->kept);
    }
    ok = ok && net_listen(net, &at, on_accept, g, &listener) == ERR_OK;
    if (ok) {
        loop_on_signal(loop, SIGTERM, on_signal, loop);
        loop_on_signal(loop, SIGINT, on_signal, loop);
        loop_run(loop);
    } else {
        cli_error("cannot open the socket %s: is the path longer than 100 characters?", at.ip);
    }
    net_listener_close(listener);
    net_destroy(net);
    loop_destroy(loop);
    log_sink_destroy(sink);
    return ok;
}

int ldap_groups_serve(struct cli_options *o)
{
    struct config *config = cli_config(o);
    struct groups g = {.ldap = NULL};
    char data_dir[CLI_PATH_MAX];
    bool ok = config && cli_data_dir(config, data_dir) && groups_init(&g, config) &&
              serve(&g, data_dir, config->sm_id);

    groups_finish(&g, config);
    return ok ? 0 : 1;
}
