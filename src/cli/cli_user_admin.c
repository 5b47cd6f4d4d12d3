/* `jackdaw user disable|enable|sessions|kick|roster|vcard|last`: what an account may, does and has.
 * What is stored is read here, with the server or without; sessions are asked of the running one.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/cli_user.h"

/* --- disable, enable --- */

static int switch_account(struct cli_options *o, struct user_store *s, bool disabled)
{
    struct jid *jid = cli_user_account(o->argv[1]);
    if (!jid)
        return 1;
    enum error e =
        user_store_commit(s, accounts_set_disabled(store_begin(s->accounts), jid_local(jid),
                                                   jid_domain(jid), disabled));
    if (e == ERR_OK && disabled) {
        cli_user_tell(s, "user-disabled", jid);
        cli_user_end_asleep(s, jid, STR(""));
    }
    if (e == ERR_OK)
        fprintf(stderr, "%s %s\n", jid->text,
                disabled ? "cannot log in any more" : "can log in again");
    else if (e == ERR_NOT_FOUND)
        cli_error("there is no account %s", jid->text);
    else
        cli_error("cannot change %s: %s", jid->text, error_text(e));
    jid_unref(jid);
    return e == ERR_OK ? 0 : 1;
}

int cli_user_disable(struct cli_options *o, struct user_store *s, const struct config *config)
{
    return switch_account(o, s, true);
}

int cli_user_enable(struct cli_options *o, struct user_store *s, const struct config *config)
{
    return switch_account(o, s, false);
}

/* --- sessions, kick --- */

/* Sessions of one account, or all. */
struct picked {
    json_t *list;
    struct jid *account; /* NULL: all */
};

static void pick(void *arg, const json_t *answer)
{
    struct picked *p = arg;
    size_t i;
    json_t *session;

    json_array_foreach(json_object_get(answer, "sessions"), i, session)
    {
        struct jid *jid = jid_parse(str_of(json_string_value(json_object_get(session, "jid"))));
        if (jid && (!p->account || jid_eq_bare(jid, p->account)))
            json_array_append(p->list, session);
        jid_unref(jid);
    }
}

static const char *text_of(const json_t *o, const char *name)
{
    const char *text = json_string_value(json_object_get(o, name));

    return text ? text : "-";
}

static bool nobody_answers(const struct user_store *s, size_t answered)
{
    if (answered == 0)
        cli_error("no server is running on %s; name its directory with --data", s->data_dir);
    return answered == 0;
}

int cli_user_sessions(struct cli_options *o, struct user_store *s, const struct config *config)
{
    struct picked p = {.account = o->argc > 1 ? cli_user_account(o->argv[1]) : NULL};
    json_t *request = json_pack("{s:s}", "command", "sessions"), *session;
    size_t i;
    int code = 1;

    p.list = json_array();
    if ((o->argc <= 1 || p.account) &&
        !nobody_answers(s, control_request_all(s->data_dir, request, pick, &p))) {
        code = 0;
        if (o->json)
            json_dumpf(p.list, stdout, JSON_INDENT(2));
        else
            json_array_foreach(p.list, i, session)
                printf("%-40s %-24s %s\n", text_of(session, "jid"), text_of(session, "address"),
                       json_is_true(json_object_get(session, "tls")) ? "TLS" : "in the clear");
    }
    json_decref(request);
    json_decref(p.list);
    jid_unref(p.account);
    return code;
}

static void count_ended(void *arg, const json_t *answer)
{
    *(long long *)arg += (long long)json_integer_value(json_object_get(answer, "ended"));
}

/* Of an account all sessions, of an address with a resource that one. */
int cli_user_kick(struct cli_options *o, struct user_store *s, const struct config *config)
{
    struct jid *jid = jid_parse(str_of(o->argv[1]));
    long long ended = 0;

    if (!jid || !jid->local_len) {
        cli_error("\"%s\" is no account: write NAME@DOMAIN or NAME@DOMAIN/RESOURCE", o->argv[1]);
        jid_unref(jid);
        return 1;
    }
    json_t *request = json_pack("{s:s, s:s}", "command", "user-kick", "jid", jid->text);
    bool away = nobody_answers(s, control_request_all(s->data_dir, request, count_ended, &ended));
    if (!away && ended == 0)
        cli_error("%s is not connected", jid->text);
    else if (!away)
        fprintf(stderr, "ended %lld session%s of %s\n", ended, ended == 1 ? "" : "s", jid->text);
    json_decref(request);
    jid_unref(jid);
    return ended > 0 ? 0 : 1;
}

/* --- what is stored --- */

struct shown {
    struct cli_options *o;
    size_t rows;
};

static void print_item(void *arg, const struct store_rows *rows)
{
    enum { JID, NAME, TO, FROM, ASK, HIDDEN = 7 };
    struct shown *shown = arg;
    for (size_t i = 0; i < store_rows_count(rows); i++) {
        bool to = store_int(rows, i, TO), from = store_int(rows, i, FROM);
        if (store_int(rows, i, HIDDEN))
            continue;
        printf("%-40.*s %-6s%s %.*s\n", STR_ARG(store_text(rows, i, JID)),
               to && from ? "both"
               : to       ? "to"
               : from     ? "from"
                          : "none",
               store_int(rows, i, ASK) ? " (asked)" : "", STR_ARG(store_text(rows, i, NAME)));
        shown->rows++;
    }
}

static void print_vcard(void *arg, const struct store_rows *rows)
{
    struct shown *shown = arg;
    shown->rows = store_rows_count(rows);
    if (shown->rows)
        printf("%.*s\n", STR_ARG(store_text(rows, 0, 0)));
}

static void print_last(void *arg, const struct store_rows *rows)
{
    struct shown *shown = arg;
    char stamp[64] = "never";
    struct tm tm;
    shown->rows = store_rows_count(rows);
    time_t when = shown->rows ? (time_t)store_int(rows, 0, 1) : 0;
    if (when && gmtime_r(&when, &tm))
        strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%SZ", &tm);
    struct str status = shown->rows ? store_text(rows, 0, 2) : STR_NULL;
    if (shown->rows)
        printf("%s%s%.*s\n", stamp, status.len ? " " : "", STR_ARG(status));
}

typedef void (*read_fn)(struct store *s, struct str owner, store_fn fn, void *arg);

/* `none` is said when there are no rows. */
static int show(struct cli_options *o, struct user_store *s, read_fn read,
                void (*print)(void *arg, const struct store_rows *rows), const char *none)
{
    struct jid *jid = cli_user_account(o->argv[1]);
    struct shown shown = {o, 0};
    struct user_store_read r = {.store = s, .fn = print, .arg = &shown};
    if (!jid)
        return 1;
    read(s->users, jid_full(jid), user_store_on_rows, &r);
    enum error e = user_store_wait(&r);
    if (e != ERR_OK)
        cli_error("cannot read the data of %s: %s", jid->text, error_text(e));
    else if (shown.rows == 0)
        fprintf(stderr, "%s %s\n", jid->text, none);
    jid_unref(jid);
    return e == ERR_OK ? 0 : 1;
}

int cli_user_roster(struct cli_options *o, struct user_store *s, const struct config *config)
{
    return show(o, s, roster_load, print_item, "has no contacts");
}

int cli_user_vcard(struct cli_options *o, struct user_store *s, const struct config *config)
{
    return show(o, s, vcard_get, print_vcard, "has no vCard");
}

int cli_user_last(struct cli_options *o, struct user_store *s, const struct config *config)
{
    return show(o, s, users_get, print_last, "is not known");
}
