/* Each setting of jabberd2 that has one of ours is a row of a table; what needs more thought has a
 * function. Whatever else says something other than Debian's own file is named as not carried. */
#include "move/jabberd2_config.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "move/making.h"
#include "move/xml_file.h"
#include "xmpp/jid.h"

static const char *const sections[SECTIONS] = {"server", "c2s", "auth", "ldap",
                                               "router", "s2s", "sm",   NULL};

/* --- numbers --- */

static const struct {
    int file;
    const char *path;
    int section;
    const char *key;
    uint64_t least, most;
} numbers[] = {
    {C2S, "local/port", SECTION_C2S, "port", 0, 65535},
    {C2S, "local/ssl-port", SECTION_C2S, "tls_port", 0, 65535},
    {C2S, "io/limits/stanzasize", SECTION_C2S, "max_stanza", 10000, 16777216},
    {C2S, "io/check/keepalive", SECTION_C2S, "ping_after", 0, 86400},
    {ROUTER, "local/port", SECTION_ROUTER, "port", 0, 65535},
    {S2S, "local/port", SECTION_S2S, "port", 0, 65535},
    {S2S, "io/limits/stanzasize", SECTION_S2S, "max_stanza", 10000, 16777216},
    {S2S, "check/queue", SECTION_S2S, "queue_time", 5, 86400},
    {S2S, "check/retry", SECTION_S2S, "retry_max", 10, 86400},
    {S2S, "check/idle", SECTION_S2S, "idle", 30, 86400},
    {SM, "offline/userquota", SECTION_SM, "max_offline", 0, 1000000},
    {SM, "roster/maxitems", SECTION_SM, "max_roster", 10, 1000000},
};

static void put_numbers(struct making *m)
{
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        struct str text = making_text_at(m, numbers[i].file, numbers[i].path);
        uint64_t n;
        char value[32];
        if (!text.len || (str_is(text, "0") && numbers[i].least)) /* 0: no limit of theirs */
            continue;
        if (str_is(text, "0") && strcmp(numbers[i].key, "ping_after") == 0)
            continue; /* ours pings */
        if (!str_to_u64(text, UINT32_MAX, &n)) {
            move_leave_out(m->notes, NULL, "%s.xml: %s is no number: \"%.*s\"",
                           making_files[numbers[i].file], numbers[i].path, STR_ARG(text));
            continue;
        }
        uint64_t kept = n < numbers[i].least  ? numbers[i].least
                        : n > numbers[i].most ? numbers[i].most
                                              : n;
        if (kept != n)
            move_remark(m->notes, "%s.xml: %s of %llu became %llu, the nearest that there is here",
                        making_files[numbers[i].file], numbers[i].path, (unsigned long long)n,
                        (unsigned long long)kept);
        snprintf(value, sizeof value, "%llu", (unsigned long long)kept);
        making_put_word(m, numbers[i].section, numbers[i].key, value);
    }
}

/* --- domains --- */

/* A setting that is the list of all domains. */
static void put_all_domains(struct making *m, int section, const char *key)
{
    struct buffer *out = &m->sections[section];
    buffer_printf(out, "    %s = {", key);
    for (size_t i = 0; i < m->domain_count; i++) {
        buffer_add_str(out, i ? STR(", ") : STR(""));
        making_quote(out, str_of(m->domains[i]));
    }
    buffer_add_str(out, STR("}\n"));
}

static bool add_domain(struct making *m, struct str name)
{
    for (size_t i = 0; i < m->domain_count; i++)
        if (str_is(name, m->domains[i]))
            return false;
    if (m->domain_count < DOMAINS_MAX)
        m->domains[m->domain_count++] = str_dup(name);
    return true;
}

/* Attributes of <id> in c2s.xml. */
static void put_domain(struct making *m, stanza_el el)
{
    const struct stanza *s = m->files[C2S];
    struct buffer *out = &m->sections[SECTION_DOMAINS];
    struct str name = making_text_of(m, C2S, el), pem = stanza_attr(s, el, STR("pemfile"));
    struct str instructions = stanza_attr(s, el, STR("instructions"));
    struct str realm = stanza_attr(s, el, STR("realm"));
    bool registers = stanza_attr(s, el, STR("register-enable")).data != NULL;
    static const char *const lost[] = {"cachain",        "verify-mode",
                                       "ciphers",        "private-key-password",
                                       "authreg-module", "register-oob"};
    for (size_t i = 0; i < sizeof lost / sizeof *lost; i++)
        if (stanza_attr(s, el, str_of(lost[i])).len)
            move_leave_out(m->notes, NULL, "c2s.xml: local/id %s of %.*s", lost[i], STR_ARG(name));
    if (realm.len && !str_eq(realm, name))
        move_leave_out(m->notes, NULL,
                       "c2s.xml: the realm \"%.*s\" of %.*s: accounts are user@domain here",
                       STR_ARG(realm), STR_ARG(name));
    if (!stanza_attr(s, el, STR("require-starttls")).data)
        move_remark(m->notes,
                    "clients of %.*s must encrypt here, which jabberd2 did not demand; c2s.tls = "
                    "optional lets them in without",
                    STR_ARG(name));
    if (!pem.len && !registers)
        return;
    buffer_add_str(out, STR("domain "));
    making_quote(out, name);
    buffer_add_str(out, STR(" {\n"));
    if (pem.len)
        making_put(m, SECTION_DOMAINS, "certificate", pem); /* with its key in the same file */
    if (registers)
        making_put_word(m, SECTION_DOMAINS, "register", "true");
    if (registers && instructions.len)
        making_put(m, SECTION_DOMAINS, "instructions", instructions);
    buffer_add_str(out, STR("}\n"));
}

static void put_domains(struct making *m)
{
    for (int file = SM; file <= C2S; file++)
        for (stanza_el el = making_find(m, file, "local/id"); el != STANZA_NONE;
             el = making_same_after(m, file, el)) {
            struct str name = making_text_of(m, file, el);
            if (!name.len)
                continue;
            bool first = add_domain(m, name);
            if (first && file == C2S && m->files[SM])
                move_remark(m->notes, "%.*s is in c2s.xml and not in sm.xml", STR_ARG(name));
            if (file == C2S)
                put_domain(m, el);
        }
    if (!m->domain_count)
        return;
    put_all_domains(m, SECTION_SERVER, "domains");
}

/* --- passwords and data --- */

static void put_ldap(struct making *m, const char *module)
{
    char path[64];
    struct str uri, base, uid;
    snprintf(path, sizeof path, "authreg/%s/uri", module);
    uri = making_text_at(m, C2S, path);
    snprintf(path, sizeof path, "authreg/%s/basedn", module);
    base = making_text_at(m, C2S, path);
    snprintf(path, sizeof path, "authreg/%s/uidattr", module);
    uid = making_text_at(m, C2S, path);
    making_put_word(m, SECTION_AUTH, "driver", "ldap");
    if (!uri.len) {
        snprintf(path, sizeof path, "authreg/%s/host", module);
        struct buffer url;
        buffer_init(&url, 1024);
        buffer_printf(&url, "ldap://%.*s", STR_ARG(making_text_at(m, C2S, path)));
        making_put(m, SECTION_LDAP, "url", buffer_str(&url));
        buffer_finish(&url);
    } else {
        making_put(m, SECTION_LDAP, "url", uri);
    }
    if (base.len)
        making_put(m, SECTION_LDAP, "base", base);
    if (uid.len) {
        struct buffer filter;
        buffer_init(&filter, 1024);
        buffer_printf(&filter, "(%.*s=%%u)", STR_ARG(uid));
        making_put(m, SECTION_LDAP, "filter", buffer_str(&filter));
        buffer_finish(&filter);
    }
    move_remark(m->notes,
                "check the section ldap: bind DN and password, and a basedn for each realm, "
                "are not carried over");
}

static void put_program(struct making *m)
{
    struct str command = making_text_at(m, C2S, "authreg/pipe/exec"), word;
    struct buffer *out = &m->sections[SECTION_AUTH];
    size_t n = 0;
    making_put_word(m, SECTION_AUTH, "driver", "program");
    buffer_add_str(out, STR("    program = {"));
    while (str_split(&command, ' ', &word)) {
        if (!word.len)
            continue;
        buffer_add_str(out, n++ ? STR(", ") : STR(""));
        making_quote(out, word);
    }
    buffer_add_str(out, STR("}\n"));
}

static void hint_import(struct making *m, int file, const char *root, struct str driver)
{
    char path[64];
    bool sqlite = str_is(driver, "sqlite");
    static const char *const parts[] = {"host", "port", "dbname", "user"};
    struct str values[4];
    for (size_t i = 0; i < 4; i++) {
        snprintf(path, sizeof path, "%s/%.*s/%s", root, STR_ARG(driver), parts[i]);
        values[i] = making_text_at(m, file, path);
    }
    bool again =
        file == SM && m->hinted && str_eq(driver, making_text_at(m, C2S, "authreg/module"));
    if (again)
        return; /* one database has all */
    m->hinted = true;
    if (sqlite)
        buffer_printf(&m->hint, "#   jackdaw import jabberd2 --sqlite %.*s\n", STR_ARG(values[2]));
    else if (str_is(driver, "pgsql"))
        buffer_printf(&m->hint,
                      "#   jackdaw import jabberd2 --postgres "
                      "postgresql://%.*s@%.*s:%.*s/%.*s\n",
                      STR_ARG(values[3]), STR_ARG(values[0]), STR_ARG(values[1]),
                      STR_ARG(values[2]));
    else
        move_leave_out(m->notes, NULL,
                       "%s.xml: the data in %.*s; copy the tables to SQLite or PostgreSQL with a "
                       "converter, and import them from there",
                       making_files[file], STR_ARG(driver));
}

static void put_auth(struct making *m)
{
    struct str module = making_text_at(m, C2S, "authreg/module");
    char path[96];
    if (str_is(module, "ldap") || str_is(module, "ldapfull")) {
        put_ldap(m, str_is(module, "ldap") ? "ldap" : "ldapfull");
    } else if (str_is(module, "pipe")) {
        put_program(m);
    } else if (str_is(module, "pam")) {
        making_put_word(m, SECTION_AUTH, "driver", "pam");
    } else if (str_is(module, "anon")) {
        put_all_domains(m, SECTION_AUTH, "anonymous");
    } else if (module.len) {
        hint_import(m, C2S, "authreg", module);
        snprintf(path, sizeof path, "authreg/%.*s/password_type", STR_ARG(module));
        stanza_el type = making_find(m, C2S, path);
        stanza_el first = type == STANZA_NONE ? STANZA_NONE : stanza_first(m->files[C2S], type);
        struct str name = first == STANZA_NONE ? STR_NULL : stanza_name(m->files[C2S], first);
        if (name.len && !str_is(name, "plaintext"))
            buffer_printf(&m->hint, "#   (passwords are %.*s: --passwords %s)\n", STR_ARG(name),
                          str_is(name, "a1hash") ? "a1hash" : "crypt");
    }
}

/* --- the rest --- */

static void put_addresses(struct making *m)
{
    static const struct {
        int file, section;
    } where[] = {{C2S, SECTION_C2S}, {S2S, SECTION_S2S}};
    for (size_t i = 0; i < 2; i++) {
        stanza_el ip = making_find(m, where[i].file, "local/ip");
        struct str first = making_text_of(m, where[i].file, ip);
        /* All of IPv4 was all there was by default; here it is both. */
        if (first.len &&
            (!str_is(first, "0.0.0.0") || making_same_after(m, where[i].file, ip) != STANZA_NONE))
            making_put_texts(m, where[i].section, "address", where[i].file, ip);
    }
    struct str router = making_text_at(m, ROUTER, "local/ip");
    if (router.len && !str_is(router, "0.0.0.0"))
        making_put(m, SECTION_ROUTER, "address", router);
    else if (router.len)
        move_remark(m->notes, "router.address stays 127.0.0.1, where jabberd2's router listened to "
                              "everybody: set it if components come from other machines");
}

static void put_router_users(struct making *m)
{
    struct stanza *users = making_document_at(m, ROUTER, "local/users");
    struct buffer list;
    if (!users)
        return;
    buffer_init(&list, SECTION_MAX);
    for (stanza_el el = stanza_first(users, STANZA_ROOT); el != STANZA_NONE;
         el = stanza_next(users, el)) {
        stanza_el name = stanza_child(users, el, STR("name"), STR_NULL),
                  secret = stanza_child(users, el, STR("secret"), STR_NULL);
        struct buffer one;
        if (name == STANZA_NONE || secret == STANZA_NONE)
            continue;
        if (str_is(making_trimmed(stanza_text(users, secret)), "secret")) {
            move_leave_out(m->notes, NULL, "the router's user %.*s, whose secret everybody knows",
                           STR_ARG(making_trimmed(stanza_text(users, name))));
            continue;
        }
        buffer_init(&one, 4096);
        buffer_printf(&one, "%.*s:%.*s:all", STR_ARG(making_trimmed(stanza_text(users, name))),
                      STR_ARG(making_trimmed(stanza_text(users, secret))));
        buffer_add_str(&list, buffer_len(&list) ? STR(", ") : STR(""));
        making_quote(&list, buffer_str(&one));
        buffer_finish(&one);
    }
    if (buffer_len(&list))
        buffer_printf(&m->sections[SECTION_ROUTER], "    users = {%.*s}\n",
                      STR_ARG(buffer_str(&list)));
    buffer_finish(&list);
    stanza_unref(users);
}

static void put_router(struct making *m)
{
    struct str pem = making_text_at(m, ROUTER, "local/pemfile"),
               secret = making_text_at(m, ROUTER, "local/secret");
    stanza_el alias = making_find(m, ROUTER, "aliases/alias");
    struct buffer *out = &m->sections[SECTION_ROUTER];
    if (pem.len) {
        making_put_word(m, SECTION_ROUTER, "tls", "true");
        making_put(m, SECTION_ROUTER, "certificate", pem);
    }
    if (secret.len)
        move_remark(m->notes,
                    "router.xml: local/secret was for any component (XEP-0114); here each has "
                    "one of its own: router.components = {\"NAME:SECRET\"}");
    put_router_users(m);
    if (alias == STANZA_NONE)
        return;
    buffer_add_str(out, STR("    aliases = {"));
    for (size_t n = 0; alias != STANZA_NONE; alias = making_same_after(m, ROUTER, alias)) {
        struct buffer one;
        buffer_init(&one, 4096);
        buffer_printf(&one, "%.*s=%.*s", STR_ARG(stanza_attr(m->files[ROUTER], alias, STR("name"))),
                      STR_ARG(stanza_attr(m->files[ROUTER], alias, STR("target"))));
        buffer_add_str(out, n++ ? STR(", ") : STR(""));
        making_quote(out, buffer_str(&one));
        buffer_finish(&one);
    }
    buffer_add_str(out, STR("}\n"));
}

static void put_admins(struct making *m)
{
    for (stanza_el acl = making_find(m, SM, "aci/acl"); acl != STANZA_NONE;
         acl = making_same_after(m, SM, acl)) {
        struct str type = stanza_attr(m->files[SM], acl, STR("type"));
        stanza_el jid = stanza_child(m->files[SM], acl, STR("jid"), STR_NULL);
        if (jid == STANZA_NONE)
            continue;
        if (str_is(type, "all") &&
            !str_is(making_text_of(m, SM, jid), "admin@localhost.localdomain"))
            making_put_texts(m, SECTION_SERVER, "admins", SM, jid);
        else if (!str_is(type, "all"))
            move_leave_out(m->notes, NULL,
                           "sm.xml: who may do \"%.*s\" alone; administrators may do all",
                           STR_ARG(type));
    }
}

/* Contacts of new accounts, from a file of their own; ours have neither groups nor subscriptions.
 */
static void put_template(struct making *m)
{
    static const char element[] = "user/template/roster";
    struct stanza *roster = making_document_at(m, SM, element);
    struct str path = making_text_at(m, SM, element);
    size_t n = 0;
    if (!roster)
        return;
    struct buffer *out = &m->sections[SECTION_SM];
    buffer_add_str(out, STR("    template_roster = {"));
    for (stanza_el el = stanza_first(roster, STANZA_ROOT); el != STANZA_NONE;
         el = stanza_next(roster, el)) {
        char item[3072];
        struct str jid = stanza_attr(roster, el, STR("jid")),
                   name = stanza_attr(roster, el, STR("name"));
        int len = snprintf(item, sizeof item, "%.*s=%.*s", STR_ARG(jid), STR_ARG(name));
        if (!jid.len || len < 0 || (size_t)len >= sizeof item)
            continue;
        buffer_add_str(out, n++ ? STR(", ") : STR(""));
        making_quote(out, (struct str){item, (size_t)len});
    }
    buffer_add_str(out, STR("}\n"));
    stanza_unref(roster);
    move_remark(m->notes,
                "the contacts of new accounts (%.*s) come without groups and without "
                "subscriptions: sm.shared_groups gives both",
                STR_ARG(path));
}

static void put_web_presence(struct making *m)
{
    struct str resource = making_text_at(m, SM, "status/resource");
    if (!resource.len)
        return;
    making_put_word(m, SECTION_SM, "web_presence", "true");
    if (!str_is(resource, "webstatus"))
        move_remark(m->notes, "web presence answers as DOMAIN/webstatus, not as DOMAIN/%.*s",
                    (int)(resource.len > 200 ? 200 : resource.len), resource.data);
}

static void put_s2s(struct making *m)
{
    stanza_el domain = making_find(m, S2S, "whitelist/domain");
    if (!m->files[S2S]) {
        making_put_word(m, SECTION_S2S, "enabled", "false");
        move_remark(m->notes, "there is no s2s.xml: this server will not speak with others");
        return;
    }
    if (domain != STANZA_NONE)
        making_put_texts(m, SECTION_S2S, "allow", S2S, domain);
    move_remark(m->notes,
                "other servers must show a valid certificate here; jabberd2 knew dialback "
                "alone (s2s.require_certificate = false)");
}

/* Settings that there is nothing for, where they are given. */
static const struct {
    int file;
    const char *path, *why;
} lost[] = {
    {C2S, "io/compression", "compression is not offered (it leaks what it hides)"},
    {C2S, "io/websocket", "WebSocket"},
    {C2S, "io/httpforward", "WebSocket"},
    {C2S, "io/access/allow", "lists of addresses: use the firewall"},
    {C2S, "io/access/deny", "lists of addresses: use the firewall"},
    {C2S, "pbx/pipe", "the PBX pipe"},
    {C2S, "stream_redirect/redirect", "redirection of streams"},
    {C2S, "local/pemfile", "one certificate for the TLS port: each domain has its own"},
    {C2S, "stats/packet", "the file of statistics: `jackdaw status --json`"},
    {ROUTER, "message_logging/enabled", "the log of messages: audit.file"},
    {ROUTER, "io/access/allow", "lists of addresses: use the firewall"},
    {ROUTER, "io/access/deny", "lists of addresses: use the firewall"},
    {SM, "offline/dropmessages", "sm.max_offline = 0 keeps none"},
    {SM, "offline/storeheadlines", "headlines are not kept"},
    {SM, "offline/dropsubscriptions", "subscription requests are always kept"},
    {SM, "discovery/items/item", "items of disco that no component answers"},
    {SM, "user/template/publish", "published rosters: write sm.shared_groups"},
    {SM, "message_logging/enabled", "the log of messages: audit.file"},
    {S2S, "local/pemfile", "each domain has its own certificate"},
    {S2S, "local/secret", "the dialback secret is made here"},
    {S2S, "local/origins/ip", "addresses to connect from"},
    {S2S, "io/compression", "compression is not offered"},
};

static void tell_lost(const struct making *m)
{
    for (size_t i = 0; i < sizeof lost / sizeof *lost; i++)
        if (making_find(m, lost[i].file, lost[i].path) != STANZA_NONE)
            move_leave_out(m->notes, NULL, "%s.xml: %s: %s", making_files[lost[i].file],
                           lost[i].path, lost[i].why);
    for (int i = 0; i < FILES; i++)
        for (stanza_el el = 0; m->files[i] && el < stanza_count(m->files[i]); el++) {
            struct str text = stanza_text(m->files[i], el);
            if (text.len && memmem(text.data, text.len, "${", 2))
                move_leave_out(m->notes, NULL, "%s.xml: \"%.*s\" is not expanded", making_files[i],
                               STR_ARG(making_trimmed(text)));
        }
}

/* --- all of it --- */

static enum error read_files(struct making *m, struct move_why why)
{
    char path[4096];
    size_t there = 0;
    for (int i = 0; i < FILES; i++) {
        snprintf(path, sizeof path, "%s/%s.xml", m->dir, making_files[i]);
        enum error e = xml_file_read(path, &m->files[i], why);
        if (e != ERR_OK && e != ERR_NOT_FOUND)
            return e;
        there += e == ERR_OK;
    }
    return there ? ERR_OK
                 : move_fail(
                       why, ERR_NOT_FOUND,
                       "%s has none of router.xml, sm.xml, c2s.xml and s2s.xml: name jabberd2's "
                       "folder (/etc/jabberd2)",
                       m->dir);
}

static void write_all(struct making *m, struct buffer *out)
{
    buffer_printf(out,
                  "# Made from jabberd2's configuration in %s by `jackdaw config from-jabberd2`.\n",
                  m->dir);
    if (buffer_len(&m->hint))
        buffer_printf(out, "# Its data:\n%.*s", STR_ARG(buffer_str(&m->hint)));
    for (int i = 0; i < SECTIONS; i++) {
        if (!buffer_len(&m->sections[i]))
            continue;
        if (sections[i])
            buffer_printf(out, "\n%s {\n", sections[i]);
        buffer_add_str(out, sections[i] ? STR("") : STR("\n"));
        buffer_add_str(out, buffer_str(&m->sections[i]));
        buffer_add_str(out, sections[i] ? STR("}\n") : STR(""));
    }
}

enum error jabberd2_config(const char *dir, struct buffer *out, struct move_notes *notes,
                           struct move_why why)
{
    struct making *m = MEM_NEW(struct making);
    m->dir = dir;
    m->notes = notes;
    for (int i = 0; i < SECTIONS; i++)
        buffer_init(&m->sections[i], SECTION_MAX);
    buffer_init(&m->hint, 65536);
    enum error e = read_files(m, why);
    if (e == ERR_OK) {
        put_domains(m);
        put_admins(m);
        put_numbers(m);
        put_addresses(m);
        put_auth(m);
        if (m->files[SM])
            hint_import(m, SM, "storage", making_text_at(m, SM, "storage/driver"));
        put_router(m);
        put_s2s(m);
        put_template(m);
        put_web_presence(m);
        tell_lost(m);
        write_all(m, out);
    }
    for (int i = 0; i < FILES; i++)
        stanza_unref(m->files[i]);
    for (size_t i = 0; i < m->domain_count; i++)
        free(m->domains[i]);
    for (int i = 0; i < SECTIONS; i++)
        buffer_finish(&m->sections[i]);
    buffer_finish(&m->hint);
    free(m);
    return e;
}
