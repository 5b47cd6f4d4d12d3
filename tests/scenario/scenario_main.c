/* Runs a scenario: scenario [--placement inline|processes|threads] [--verbose] FILE.scn. README.md
 * describes the language. Exit codes: 0 passed, 1 failed (file:line and the difference on stderr),
 * 2 wrong usage, 77 does not apply. */
#include "scenario.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "xmpp/pbkdf2.h"
#include "xmpp/sasl.h"
#include "xmpp/scram_crypto.h"

enum { CLIENTS_MAX = 256, ACCOUNTS_MAX = 256, SKIP = 77 };

struct run {
    const char *path;
    const struct script_line *line;
    struct world world;
    struct vars vars;
    struct client *clients[CLIENTS_MAX];
    size_t actor_count;
    struct {
        char *jid, *password;
    } accounts[ACCOUNTS_MAX];
    size_t account_count;
    FILE *log;
    bool verbose, skip;
};

/* Every command returns whether the script goes on; it has then said why not. */
typedef bool (*command_fn)(struct run *r, struct str rest);

static bool run_line(struct run *r, struct str text);

static void where(struct run *r)
{
    fprintf(stderr, "%s:%d: (%s)\n", r->path, r->line->number, placement_names[r->world.placement]);
    if (r->line->comment)
        fprintf(stderr, "  # %s\n", r->line->comment);
    fprintf(stderr, "  %s\n", r->line->text);
}

__attribute__((format(printf, 2, 3))) static bool fail(struct run *r, const char *fmt, ...)
{
    va_list args;

    where(r);
    fprintf(stderr, "  ");
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fprintf(stderr, "\n");
    return false;
}

static bool ok_or(struct run *r, const struct client *c, bool ok)
{
    return ok || fail(r, "%s", c->error);
}

static struct client *find_client(struct run *r, struct str name)
{
    for (size_t i = 0; i < r->actor_count; i++)
        if (str_is(name, r->clients[i]->name))
            return r->clients[i];
    return NULL;
}

static struct client *make_client(struct run *r, struct str name)
{
    struct client *c = find_client(r, name);

    if (c)
        return c;
    if (r->actor_count == CLIENTS_MAX) {
        fprintf(stderr, "more than %d clients\n", CLIENTS_MAX);
        exit(2);
    }
    return r->clients[r->actor_count++] = actor_create(&r->world, name, r->verbose);
}

/* local@domain/resource as written; no preparation, so that scripts may say anything. */
static void split_jid(struct str jid, struct str *local, struct str *domain, struct str *resource)
{
    const char *slash = memchr(jid.data, '/', jid.len);
    size_t bare = slash ? (size_t)(slash - jid.data) : jid.len;
    const char *at = memchr(jid.data, '@', bare);

    *resource = slash ? (struct str){slash + 1, jid.len - bare - 1} : STR_NULL;
    *local = at ? (struct str){jid.data, (size_t)(at - jid.data)} : STR_NULL;
    *domain = at ? (struct str){at + 1, bare - local->len - 1} : (struct str){jid.data, bare};
}

static struct str password_of(struct run *r, struct str local, struct str domain)
{
    for (size_t i = 0; i < r->account_count; i++) {
        struct str l, d, resource;

        split_jid(str_of(r->accounts[i].jid), &l, &d, &resource);
        if (str_eq(l, local) && str_eq(d, domain))
            return str_of(r->accounts[i].password);
    }
    return STR("secret");
}

/* ---- before the start ---- */

static bool do_domain(struct run *r, struct str rest)
{
    world_add_domain(&r->world, rest);
    return true;
}

static bool do_set(struct run *r, struct str rest)
{
    char *setting = str_dup(rest);

    world_set(&r->world, setting);
    free(setting);
    return true;
}

static bool do_sms(struct run *r, struct str rest)
{
    uint64_t count;

    if (!str_to_u64(rest, 4, &count) || count == 0)
        return fail(r, "sms takes 1 to 4");
    r->world.sms = (int)count;
    return true;
}

/* Lines behind it are settings of the other server's, too: "abroad s2s.deny=example.net". */
static bool do_abroad(struct run *r, struct str rest)
{
    char *setting;

    if (!r->world.abroad) {
        world_add_abroad(&r->world, rest);
        return true;
    }
    setting = str_dup(rest);
    world_set(r->world.abroad, setting);
    free(setting);
    return true;
}

static enum placement placement_of(struct str name)
{
    for (int i = 0; i < PLACEMENTS; i++)
        if (str_is(name, placement_names[i]))
            return (enum placement)i;
    fprintf(stderr, "there is no placement '%.*s'\n", STR_ARG(name));
    exit(2);
}

static bool do_placement(struct run *r, struct str rest)
{
    enum placement only = placement_of(rest);

    r->skip = only != r->world.placement;
    return !r->skip;
}

/* ---- clients ---- */

static bool do_account(struct run *r, struct str rest)
{
    struct str jid = script_word(&rest), password = rest.len ? rest : STR("secret"), local, domain,
               resource;
    struct client *c;
    bool ok;

    split_jid(jid, &local, &domain, &resource);
    c = actor_create(world_of(&r->world, domain), STR("(account)"), false);
    ok = ok_or(r, c, actor_register(c, local, domain, password));
    actor_destroy(c);
    if (!ok)
        return false;
    if (r->account_count == ACCOUNTS_MAX)
        return fail(r, "more than %d accounts", ACCOUNTS_MAX);
    r->accounts[r->account_count].jid = str_dup(jid);
    r->accounts[r->account_count++].password = str_dup(password);
    return true;
}

static bool do_imported(struct run *r, struct str rest)
{
    struct str local, domain, resource;

    split_jid(rest, &local, &domain, &resource);
    return world_import(&r->world, local, domain, STR("secret")) ||
           fail(r, "the account cannot be written");
}

static bool bind_client(struct run *r, struct client *c, struct str resource)
{
    struct buffer full;
    bool ok;

    buffer_init(&full, 4096);
    ok = actor_bind(c, resource, &full);
    if (ok)
        vars_set(&r->vars, str_of(c->name), buffer_str(&full));
    buffer_finish(&full);
    return ok_or(r, c, ok);
}

static bool connect_client(struct run *r, struct str *rest, struct client **ret)
{
    struct str name = script_word(rest), as = script_word(rest), jid = script_word(rest);
    struct str local, domain, resource;
    struct client *c = make_client(r, name);

    *ret = c;
    if (!str_is(as, "as") || !jid.len)
        return fail(r, "write: connect NAME as JID");
    split_jid(jid, &local, &domain, &resource);
    c->world = world_of(&r->world, domain);
    return ok_or(r, c,
                 actor_open(c) && actor_header(c, domain) &&
                     actor_auth(c, local, domain, password_of(r, local, domain))) &&
           bind_client(r, c, resource);
}

static bool do_connect(struct run *r, struct str rest)
{
    struct client *c;

    return connect_client(r, &rest, &c);
}

static bool do_available(struct run *r, struct str rest)
{
    struct client *c;
    char presence[128];

    if (!connect_client(r, &rest, &c))
        return false;
    (void)snprintf(presence, sizeof(presence),
                   rest.len ? "<presence><priority>%.*s</priority></presence>" : "<presence/>%.*s",
                   STR_ARG(rest));
    if (!ok_or(r, c,
               actor_send(c, STR("<iq type='get' id='scenario-roster'><query "
                                 "xmlns='jabber:iq:roster'/></iq>")) &&
                   actor_send(c, str_of(presence))))
        return false;
    world_run(&r->world, 500);
    actor_forget(c);
    return true;
}

static bool do_open(struct run *r, struct str rest)
{
    struct client *c = make_client(r, script_word(&rest));

    free(c->lang);
    c->lang = rest.len ? str_dup(rest) : NULL;
    return ok_or(r, c, actor_open(c));
}

static bool known(struct run *r, struct str *rest, struct client **ret)
{
    struct str name = script_word(rest);

    *ret = find_client(r, name);
    return *ret || fail(r, "there is no client '%.*s'", STR_ARG(name));
}

static bool do_header(struct run *r, struct str rest)
{
    struct client *c;

    return known(r, &rest, &c) &&
           ok_or(r, c, actor_header(c, rest.len ? rest : STR("example.net")));
}

static bool do_auth(struct run *r, struct str rest)
{
    struct client *c;
    struct str local, domain, resource;

    if (!known(r, &rest, &c))
        return false;
    split_jid(script_word(&rest), &local, &domain, &resource);
    return ok_or(r, c,
                 actor_auth(c, local, domain, rest.len ? rest : password_of(r, local, domain)));
}

/* A resource in the JID is the password to be tried. */
static bool do_auth2(struct run *r, struct str rest)
{
    struct client *c;
    struct str local, domain, resource;
    struct buffer more;
    bool ok;

    if (!known(r, &rest, &c))
        return false;
    split_jid(script_word(&rest), &local, &domain, &resource);
    buffer_init(&more, 16384);
    vars_expand(&r->vars, rest, true, &more);
    buffer_add_char(&more, '\0');
    ok = ok_or(r, c,
               actor_auth2(c, local, resource.len ? resource : password_of(r, local, domain),
                           buffer_str(&more).data));
    buffer_finish(&more);
    return ok;
}

/* ht VAR USER TOKEN: what a client of SASL-HT says, in base64. */
static bool do_ht(struct run *r, struct str rest)
{
    struct str name = script_word(&rest), user = script_word(&rest);
    struct buffer token, message, out;
    unsigned char mac[SCRAM_MAX_HASH];
    struct scram_crypto crypto;

    buffer_init(&token, 1024);
    buffer_init(&message, 1024);
    buffer_init(&out, 2048);
    vars_expand(&r->vars, rest, false, &token);
    scram_crypto_init(&crypto, SCRAM_SHA_256);
    scram_crypto_hmac(&crypto, (const unsigned char *)buffer_str(&token).data, buffer_len(&token),
                      STR("Initiator"), mac);
    buffer_add_str(&message, user);
    buffer_add_char(&message, '\0');
    buffer_add(&message, (const char *)mac, crypto.size);
    scram_crypto_finish(&crypto);
    sasl_base64_encode(buffer_str(&message), &out);
    vars_set(&r->vars, name, buffer_str(&out));
    buffer_finish(&token);
    buffer_finish(&message);
    buffer_finish(&out);
    return true;
}

/* salted VAR HASH PASSWORD ITERATIONS SALT: a SaltedPassword (RFC 5802), in base64 like the salt.
 */
static bool do_salted(struct run *r, struct str rest)
{
    struct str name = script_word(&rest), mech = script_word(&rest), password = script_word(&rest);
    enum scram_hash hash = str_is(mech, "SCRAM-SHA-512") ? SCRAM_SHA_512 : SCRAM_SHA_256;
    unsigned char salted[SCRAM_MAX_HASH];
    struct buffer text, salt, out;
    struct str words, count;
    uint64_t iterations = 0;
    bool ok;

    buffer_init(&text, 1024);
    buffer_init(&salt, 1024);
    buffer_init(&out, 2048);
    vars_expand(&r->vars, rest, false, &text);
    words = buffer_str(&text);
    count = script_word(&words);
    ok = str_to_u64(count, UINT32_MAX, &iterations) && sasl_base64_decode(words, &salt);
    if (ok) {
        pbkdf2_derive(hash, password, buffer_str(&salt), (uint32_t)iterations, salted);
        sasl_base64_encode((struct str){(const char *)salted, scram_hash_size(hash)}, &out);
        vars_set(&r->vars, name, buffer_str(&out));
    }
    buffer_finish(&text);
    buffer_finish(&salt);
    buffer_finish(&out);
    return ok || fail(r, "write: salted VAR HASH PASSWORD ITERATIONS SALT");
}

static bool do_bind(struct run *r, struct str rest)
{
    struct client *c;

    return known(r, &rest, &c) && bind_client(r, c, rest.len ? rest : STR_NULL);
}

static bool do_close(struct run *r, struct str rest)
{
    struct client *c;

    return known(r, &rest, &c) && ok_or(r, c, actor_close(c));
}

static bool abroad(const struct run *r, struct str rest)
{
    return r->world.abroad && str_is(rest, "abroad");
}

static bool do_cut(struct run *r, struct str rest)
{
    struct client *c;

    if (abroad(r, rest)) {
        world_cut_abroad(&r->world);
        return true;
    }
    if (!known(r, &rest, &c))
        return false;
    conn_close(c->conn, 0);
    c->conn = NULL;
    world_run(&r->world, 20);
    return true;
}

static bool do_pause(struct run *r, struct str rest)
{
    struct client *c;

    if (!known(r, &rest, &c) || !c->conn)
        return false;
    conn_pause(c->conn);
    return true;
}

static bool do_resume(struct run *r, struct str rest)
{
    struct client *c;

    if (!known(r, &rest, &c) || !c->conn)
        return false;
    conn_resume(c->conn);
    world_run(&r->world, 20);
    return true;
}

/* ---- the world ---- */

static bool do_advance(struct run *r, struct str rest)
{
    uint64_t ms;

    if (!script_duration(rest, &ms))
        return fail(r, "write a duration, such as 500ms, 30s or 2h");
    world_run(&r->world, ms);
    return true;
}

static bool do_silence(struct run *r, struct str rest)
{
    bool on = str_is(rest, "abroad");

    if (!r->world.abroad || (!on && !str_is(rest, "over")))
        return fail(r, "write: silence abroad, and then: silence over");
    world_silence_abroad(&r->world, on);
    return true;
}

static bool do_kill(struct run *r, struct str rest)
{
    if (abroad(r, rest))
        return world_kill_abroad(&r->world) || fail(r, "it is not running");
    if (str_is(rest, "all") || str_is(rest, "power"))
        return world_kill_all(&r->world, str_is(rest, "power")) || fail(r, "it is not running");
    if (r->world.placement != PLACEMENT_PROCESSES)
        return fail(
            r, "write `placement processes` at the top: one process cannot lose a part of itself");
    return world_kill(&r->world, rest) || fail(r, "cannot kill it");
}

static bool do_start(struct run *r, struct str rest)
{
    if (abroad(r, rest))
        return world_start_abroad(&r->world) || fail(r, "it cannot start");
    if (str_is(rest, "all"))
        return world_start_all(&r->world) || fail(r, "it cannot start");
    return world_start_one(&r->world, rest) || fail(r, "cannot start it");
}

static bool do_begin(struct run *r, struct str rest)
{
    return world_start_now(&r->world, rest) || fail(r, "cannot start it");
}

static bool do_stop(struct run *r, struct str rest)
{
    return world_stop(&r->world, rest) || fail(r, "cannot stop it");
}

static bool do_reload(struct run *r, struct str rest)
{
    char *setting = str_dup(rest);
    bool ok = world_reload(&r->world, setting, false);

    free(setting);
    return ok || fail(r, "cannot reload");
}

static bool do_reload_refused(struct run *r, struct str rest)
{
    char *setting = str_dup(rest);
    bool ok = world_reload(&r->world, setting, true);

    free(setting);
    return ok || fail(r, "the reload should have been refused");
}

static bool do_ordered(struct run *r, struct str rest)
{
    const char *ordered = world_ordered(&r->world);

    return str_is(rest, ordered) || fail(r, "%s was ordered", ordered);
}

static bool do_log(struct run *r, struct str rest)
{
    printf("%s:%d: %.*s\n", r->path, r->line->number, STR_ARG(rest));
    return true;
}

/* With each {n} replaced, in the names of clients, too. */
static bool run_numbered(struct run *r, struct str line, struct str n)
{
    struct buffer text;
    bool ok = true;

    buffer_init(&text, 1 << 24);
    while (line.len > 0 && ok) {
        const char *at = memmem(line.data, line.len, "{n}", 3);
        size_t before = at ? (size_t)(at - line.data) : line.len;
        ok = buffer_add(&text, line.data, before) && (!at || buffer_add_str(&text, n));
        before += at ? 3 : 0;
        line = (struct str){line.data + before, line.len - before};
    }
    ok = ok && run_line(r, buffer_str(&text));
    buffer_finish(&text);
    return ok;
}

static bool do_repeat(struct run *r, struct str rest)
{
    uint64_t count;

    if (!str_to_u64(script_word(&rest), 1000000, &count))
        return fail(r, "write: repeat COUNT LINE");
    for (uint64_t i = 1; i <= count; i++) {
        char n[24];

        (void)snprintf(n, sizeof(n), "%llu", (unsigned long long)i);
        vars_set(&r->vars, STR("n"), str_of(n));
        if (!run_numbered(r, rest, str_of(n)))
            return false;
    }
    return true;
}

static const struct {
    const char *name;
    bool before_start;
    command_fn run;
} commands[] = {
    {"domain", true, do_domain},    {"set", true, do_set},
    {"sms", true, do_sms},          {"placement", true, do_placement},
    {"abroad", true, do_abroad},    {"account", false, do_account},
    {"connect", false, do_connect}, {"available", false, do_available},
    {"open", false, do_open},       {"header", false, do_header},
    {"auth", false, do_auth},       {"auth2", false, do_auth2},
    {"ht", false, do_ht},           {"salted", false, do_salted},
    {"bind", false, do_bind},       {"close", false, do_close},
    {"cut", false, do_cut},         {"silence", false, do_silence},
    {"pause", false, do_pause},     {"resume", false, do_resume},
    {"advance", false, do_advance}, {"kill", false, do_kill},
    {"start", false, do_start},     {"stop", false, do_stop},
    {"reload", false, do_reload},   {"reload-refused", false, do_reload_refused},
    {"ordered", false, do_ordered}, {"log", false, do_log},
    {"repeat", false, do_repeat},   {"imported", false, do_imported},
    {"begin", false, do_begin},
};

/* ---- NAME> NAME< NAME! ---- */

static bool actor_says(struct run *r, struct client *c, struct str xml)
{
    struct buffer text, whole;
    bool ok;

    buffer_init(&text, 1 << 24);
    buffer_init(&whole, 1 << 24);
    vars_expand(&r->vars, xml, true, &text);
    actor_complete_header(buffer_str(&text), &whole);
    ok = actor_send(c, buffer_str(&whole));
    buffer_finish(&text);
    buffer_finish(&whole);
    return ok_or(r, c, ok);
}

static int hex_digit(char c)
{
    const char *digits = "0123456789abcdef", *at = c ? strchr(digits, c | 0x20) : NULL;

    return at ? (int)(at - digits) : -1;
}

/* One possibly escaped character of a raw text; returns how many characters of it were used. */
static size_t unescape(struct str text, size_t i, struct buffer *out)
{
    static const char from[] = "nrt\\0", to[] = "\n\r\t\\\0";
    const char *at;

    if (text.data[i] != '\\' || i + 1 >= text.len) {
        buffer_add_char(out, text.data[i]);
        return 1;
    }
    if (text.data[i + 1] == 'x' && i + 3 < text.len && hex_digit(text.data[i + 2]) >= 0 &&
        hex_digit(text.data[i + 3]) >= 0) {
        buffer_add_char(out,
                        (char)(hex_digit(text.data[i + 2]) * 16 + hex_digit(text.data[i + 3])));
        return 4;
    }
    at = memchr(from, text.data[i + 1], sizeof(from) - 1);
    buffer_add_char(out, at ? to[at - from] : text.data[i + 1]);
    return 2;
}

static bool actor_says_raw(struct run *r, struct client *c, struct str text, uint64_t times)
{
    struct buffer expanded, bytes;
    bool ok;

    buffer_init(&expanded, 1 << 24);
    buffer_init(&bytes, 1 << 26);
    vars_expand(&r->vars, text, false, &expanded);
    while (times-- > 0)
        for (size_t i = 0; i < buffer_len(&expanded);)
            i += unescape(buffer_str(&expanded), i, &bytes);
    ok = actor_send(c, buffer_str(&bytes));
    buffer_finish(&expanded);
    buffer_finish(&bytes);
    return ok_or(r, c, ok);
}

static void print_item(const struct item *item)
{
    fprintf(stderr, "    ");
    if (item->stanza)
        match_print(stderr, item->stanza);
    else
        fprintf(stderr, "%s%s",
                item->kind == ITEM_END ? "</stream:stream>" : "bytes that are no XML stream: ",
                item->why ? item->why : "");
    fprintf(stderr, "\n");
}

static void print_inbox(const struct client *c)
{
    if (list_empty(&c->inbox))
        fprintf(stderr, "  %s has received nothing%s%s\n", c->name,
                c->conn ? "" : "; its connection is closed: ", c->conn ? "" : c->why);
    else
        fprintf(stderr, "  %s has received:\n", c->name);
    LIST_EACH (node, &c->inbox)
        print_item(LIST_ENTRY(node, struct item, node));
}

static bool item_matches(struct run *r, const struct item *item, const struct stanza *expected,
                         bool header, struct match_mode mode, char *why, size_t why_size)
{
    enum item_kind kind = !expected ? ITEM_END : header ? ITEM_HEADER : ITEM_STANZA;

    if (item->kind != kind) {
        (void)snprintf(why, why_size, "something else came");
        return false;
    }
    return !expected || match_stanza(expected, item->stanza, mode, &r->vars, why, why_size);
}

struct expectation {
    struct stanza *stanza; /* NULL: the end of the stream */
    bool header, anywhere, never;
    struct match_mode mode;
};

/* The first matching item; looks at the head only unless `anywhere`. */
static struct item *look(struct run *r, struct client *c, const struct expectation *e, char *why,
                         size_t why_size)
{
    LIST_EACH (node, &c->inbox) {
        struct item *item = LIST_ENTRY(node, struct item, node);

        if (item_matches(r, item, e->stanza, e->header, e->mode, why, why_size))
            return item;
        if (!e->anywhere && !e->never)
            break;
    }
    return NULL;
}

static bool meet(struct run *r, struct client *c, const struct expectation *e)
{
    char why[1024] = "nothing came";
    struct item *item = NULL;

    for (int waited = 0; waited <= 1000; waited += 20) {
        item = look(r, c, e, why, sizeof(why));
        if (item || (!e->anywhere && !e->never && !list_empty(&c->inbox)))
            break;
        world_run(&r->world, 20);
    }
    if (e->never) {
        if (item) {
            (void)fail(r, "this came all the same:");
            print_item(item);
        }
        return item == NULL;
    }
    if (!item) {
        (void)fail(r, "%s", why);
        print_inbox(c);
        return false;
    }
    actor_take(c, item);
    return true;
}

static bool actor_expects(struct run *r, struct client *c, struct str marks, struct str xml)
{
    struct expectation e = {NULL, false, false, false, {false, false}};
    char why[512];
    bool ok;

    for (size_t i = 0; i < marks.len; i++) {
        e.anywhere |= marks.data[i] == '*';
        e.never |= marks.data[i] == '!';
        e.mode.contains |= marks.data[i] == '~';
        e.mode.exact |= marks.data[i] == '=';
        if (!strchr("*!~=", marks.data[i]))
            return fail(r, "unknown mark '%c' behind <", marks.data[i]);
    }
    if (!str_is(xml, "</stream:stream>")) {
        e.stanza = actor_parse(r->world.parsers, xml, &e.header, why, sizeof(why));
        if (!e.stanza)
            return fail(r, "%s", why);
    }
    ok = meet(r, c, &e);
    stanza_unref(e.stanza);
    return ok;
}

static bool actor_state(struct run *r, struct client *c, struct str what)
{
    if (str_is(what, "forget")) {
        actor_forget(c);
        return true;
    }
    if (str_is(what, "open"))
        return c->conn || fail(r, "%s is closed: %s", c->name, c->why);
    if (!str_is(what, "nothing") && !str_is(what, "closed"))
        return fail(r, "write nothing, closed, open or forget behind !");
    world_run(&r->world, 1000);
    if (!list_empty(&c->inbox)) {
        (void)fail(r, "nothing more was expected");
        print_inbox(c);
        return false;
    }
    if (str_is(what, "closed") && c->conn)
        return fail(r, "the connection of %s is still open", c->name);
    return true;
}

/* `op` is what stands behind the client's name: "<~", ">>*" ... */
static bool actor_line(struct run *r, struct client *c, struct str op, struct str rest)
{
    uint64_t times = 1;

    switch (op.data[0]) {
    case '<':
        return actor_expects(r, c, (struct str){op.data + 1, op.len - 1}, rest);
    case '!':
        return actor_state(r, c, rest);
    default:
        if (str_is(op, ">"))
            return actor_says(r, c, rest);
        if (str_is(op, ">>*") && !str_to_u64(script_word(&rest), 1000000, &times))
            return fail(r, "write: %s>>* COUNT TEXT", c->name);
        return actor_says_raw(r, c, rest, times);
    }
}

static bool run_line(struct run *r, struct str text)
{
    struct str rest = text, word = script_word(&rest);

    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (!str_is(word, commands[i].name))
            continue;
        if (commands[i].before_start && r->world.started)
            return fail(r, "%s comes before anything that needs the server", commands[i].name);
        if (!commands[i].before_start && !world_start(&r->world))
            return fail(r, "the server does not start");
        return commands[i].run(r, rest);
    }
    for (size_t i = 1; i < word.len; i++) {
        if (strchr("<>!", word.data[i])) {
            struct client *c = find_client(r, (struct str){word.data, i});

            return c ? actor_line(r, c, (struct str){word.data + i, word.len - i}, rest)
                     : fail(r, "there is no client '%.*s'", (int)i, word.data);
        }
    }
    return fail(r, "'%.*s' is nothing a scenario knows", STR_ARG(word));
}

/* What the server said, for a failed run. */
static void print_log(FILE *log)
{
    char line[1024];

    fprintf(stderr, "  the server's log:\n");
    rewind(log);
    while (fgets(line, sizeof(line), log))
        fprintf(stderr, "    %s", line);
}

static void finish(struct run *r)
{
    for (size_t i = 0; i < r->actor_count; i++)
        actor_destroy(r->clients[i]);
    for (size_t i = 0; i < r->account_count; i++) {
        free(r->accounts[i].jid);
        free(r->accounts[i].password);
    }
    world_finish(&r->world);
    vars_truncate(&r->vars, 0);
    if (r->log != stdout)
        fclose(r->log);
}

/* After every line. */
static bool balanced(struct run *r)
{
    char why[1024];

    return world_balances(&r->world, why, sizeof(why)) || fail(r, "%s", why);
}

static int run_scenario(const char *path, enum placement placement, bool verbose)
{
    struct run *r = MEM_NEW(struct run);
    struct script script;
    bool ok = true;
    int code;

    if (!script_load(&script, path)) {
        free(r);
        return 2;
    }
    r->path = path;
    r->verbose = verbose;
    r->log = verbose ? stdout : tmpfile();
    world_init(&r->world, placement, r->log, verbose);
    for (size_t i = 0; i < script.count && ok; i++) {
        r->line = &script.lines[i];
        if (verbose)
            printf("%d: %s\n", r->line->number, r->line->text);
        ok = run_line(r, str_of(r->line->text)) && balanced(r);
    }
    code = ok ? 0 : r->skip ? SKIP : 1;
    if (code == 1 && !verbose)
        print_log(r->log);
    finish(r);
    script_finish(&script);
    free(r);
    return code;
}

int main(int argc, char **argv)
{
    bool verbose = false, only[PLACEMENTS] = {false}, all = true;
    int i = 1, code = SKIP;

    for (; i < argc && strncmp(argv[i], "--", 2) == 0; i++) {
        if (strcmp(argv[i], "--verbose") == 0)
            verbose = true;
        else if (strcmp(argv[i], "--placement") == 0 && i + 1 < argc)
            only[placement_of(str_of(argv[++i]))] = true, all = false;
    }
    if (i >= argc) {
        fprintf(
            stderr,
            "usage: scenario [--placement inline|processes|threads] [--verbose] FILE.scn ...\n");
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (; i < argc; i++) {
        for (int p = 0; p < PLACEMENTS; p++) {
            int one = all || only[p] ? run_scenario(argv[i], (enum placement)p, verbose) : SKIP;

            if (one != SKIP && (code == SKIP || code == 0))
                code = one;
        }
    }
    return code;
}
