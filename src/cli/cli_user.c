/* `jackdaw user ...`: accounts, whether or not the server runs. The databases are changed here; a
 * running server is told through its control socket, so that sessions of the user end. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "cli/cli_user.h"
#include "cli/user_import.h"
#include "cli/user_store.h"
#include "xmpp/jid.h"

enum { PASSWORD_MAX = 1023, GENERATED_PASSWORD = 20 }; /* 20 of [a-z0-9]: 103 bits */

/* Until a running server has removed an account: after so long it will not. */
enum { LEAVING_ASK_MS = 20, LEAVING_MAX_MS = 60000, LEAVING_ANSWER_S = 10 };

struct user_command {
    const char *name;
    int least, most; /* arguments */
    int (*run)(struct cli_options *o, struct user_store *s, const struct config *config);
};

/* --- arguments --- */

struct jid *cli_user_account(const char *text)
{
    struct jid *jid = jid_parse(str_of(text));
    if (jid && jid->local_len && jid_is_bare(jid))
        return jid;
    cli_error("\"%s\" is no account: write NAME@DOMAIN", text);
    jid_unref(jid);
    return NULL;
}

static void note_domain(const struct config *config, const struct jid *jid)
{
    for (size_t i = 0; i < config->server_domains.count; i++)
        if (str_is(jid_domain(jid), config->server_domains.items[i]))
            return;
    fprintf(stderr,
            "note: server.domains (%s) does not name %.*s; the account can be used once it does\n",
            config_origin(config, "server.domains"), STR_ARG(jid_domain(jid)));
}

/* The first line of stdin, or a password made here. */
static bool take_password(const struct cli_options *o, struct user_store *s,
                          char out[PASSWORD_MAX + 2])
{
    if (!o->password_stdin) {
        random_token(s->random, out, GENERATED_PASSWORD);
        out[GENERATED_PASSWORD] = '\0';
        return true;
    }
    if (isatty(STDIN_FILENO))
        fprintf(stderr, "password: ");
    if (!fgets(out, PASSWORD_MAX + 2, stdin)) {
        cli_error("there is no password on standard input");
        return false;
    }
    size_t len = strcspn(out, "\r\n");
    if (len == PASSWORD_MAX + 1) {
        cli_error("the password is longer than %d bytes", PASSWORD_MAX);
        return false;
    }
    out[len] = '\0';
    return true;
}

static bool derive(struct user_store *s, const char *password, struct scram_keys keys[SCRAM_HASHES])
{
    if (accounts_derive(s->random, str_of(password), keys))
        return true;
    cli_error(
        "the password is empty or has characters that passwords may not have (RFC 8265); choose "
        "another");
    return false;
}

/* --- the running server --- */

static void ignore_answer(void *arg, const json_t *answer)
{
}

void cli_user_tell(const struct user_store *s, const char *command, const struct jid *jid)
{
    json_t *request = json_pack("{s:s, s:s}", "command", command, "jid", jid->text);
    control_request_all(s->data_dir, request, ignore_answer, NULL);
    json_decref(request);
}

struct departure {
    const struct user_store *s;
    json_t *request;
    struct loop_timer again;
    uint64_t until;
    bool leaving;
};

static void on_leaving(void *arg, const char *process, enum error e, const json_t *answer)
{
    struct departure *d = arg;
    if (e == ERR_TIMEOUT || (e == ERR_OK && json_integer_value(json_object_get(answer, "leaving"))))
        d->leaving = true;
}

static void on_ask_again(struct loop_timer *timer)
{
    struct departure *d = MEM_CONTAINER(timer, struct departure, again);
    d->leaving = false;
    control_request_each(d->s->data_dir, d->request, LEAVING_ANSWER_S, on_leaving, d);
    if (d->leaving && loop_now(d->s->loop) < d->until)
        loop_timer_start(timer, LEAVING_ASK_MS);
    else
        loop_stop(d->s->loop);
}

/* A running server tells the contacts and sends stored messages back, for which it needs the rows
 * that we are about to delete. */
static void wait_until_gone(const struct user_store *s, const struct jid *jid)
{
    struct departure d = {.s = s, .until = loop_now(s->loop) + LEAVING_MAX_MS};
    d.request = json_pack("{s:s, s:s}", "command", "user-leaving", "jid", jid->text);
    loop_timer_init(&d.again, s->loop, on_ask_again);
    loop_timer_start(&d.again, 0);
    loop_run(s->loop);
    json_decref(d.request);
}

static void count_taken(void *arg, const json_t *answer)
{
    *(json_int_t *)arg += json_integer_value(json_object_get(answer, "taken"));
}

/* A running server makes the user itself, with all that follows from it: shared groups, contacts,
 * welcome message. False when none does. */
static bool server_takes(const struct user_store *s, const struct jid *jid)
{
    json_t *request = json_pack("{s:s, s:s}", "command", "user-new", "jid", jid->text);
    json_int_t taken = 0;
    control_request_all(s->data_dir, request, count_taken, &taken);
    json_decref(request);
    return taken > 0;
}

/* --- subcommands --- */

static int store_account(struct user_store *s, const struct jid *jid,
                         const struct scram_keys keys[SCRAM_HASHES])
{
    struct str user = jid_local(jid), realm = jid_domain(jid);
    enum error e =
        user_store_commit(s, accounts_create(store_begin(s->accounts), user, realm, keys));
    if (e == ERR_EXISTS) {
        cli_error("%s exists already; `jackdaw user passwd %s` gives it a new password", jid->text,
                  jid->text);
        return 1;
    }
    if (e == ERR_OK && !server_takes(s, jid)) {
        e = user_store_commit(
            s, users_activate_new(store_begin(s->users), jid_bare(jid), loop_wall(s->loop) / 1000));
        if (e != ERR_OK) /* an account without its user would be half made */
            user_store_commit(s, accounts_delete(store_begin(s->accounts), user, realm));
    }
    if (e != ERR_OK)
        cli_error("cannot store the account: %s", error_text(e));
    return e == ERR_OK ? 0 : 1;
}

static int user_add(struct cli_options *o, struct user_store *s, const struct config *config)
{
    char password[PASSWORD_MAX + 2];
    struct scram_keys keys[SCRAM_HASHES];
    struct jid *jid = cli_user_account(o->argv[1]);
    int code = 1;
    if (!jid)
        return 1;
    if (!jid_local_unconfusable(jid_local(jid)))
        cli_error("\"%s\" mixes letters of different scripts that look alike; choose another name",
                  jid->text);
    else if (take_password(o, s, password) && derive(s, password, keys))
        code = store_account(s, jid, keys);
    if (code == 0) {
        note_domain(config, jid);
        fprintf(stderr, "made the account %s%s\n", jid->text,
                o->password_stdin ? "" : "; its password is");
        if (!o->password_stdin)
            puts(password);
    }
    mem_wipe(password, sizeof password);
    jid_unref(jid);
    return code;
}

static int user_passwd(struct cli_options *o, struct user_store *s, const struct config *config)
{
    char password[PASSWORD_MAX + 2];
    struct scram_keys keys[SCRAM_HASHES];
    struct jid *jid = cli_user_account(o->argv[1]);
    enum error e = ERR_INVALID;
    if (!jid)
        return 1;
    if (take_password(o, s, password) && derive(s, password, keys)) {
        e = user_store_commit(
            s, accounts_set_keys(store_begin(s->accounts), jid_local(jid), jid_domain(jid), keys));
        if (e == ERR_NOT_FOUND)
            cli_error("there is no account %s; `jackdaw user add` makes one", jid->text);
        else if (e != ERR_OK)
            cli_error("cannot store the password: %s", error_text(e));
    }
    if (e == ERR_OK) {
        cli_user_tell(s, "user-passwd", jid);
        cli_user_end_asleep(s, jid, STR(""));
        fprintf(stderr, "changed the password of %s%s\n", jid->text,
                o->password_stdin ? "" : "; it is now");
        if (!o->password_stdin)
            puts(password);
    }
    mem_wipe(password, sizeof password);
    jid_unref(jid);
    return e == ERR_OK ? 0 : 1;
}

/* First nobody can log in any more, then the running server ends sessions and tells the contacts,
 * sends stored messages back, then what data there still are go. */
static int user_del(struct cli_options *o, struct user_store *s, const struct config *config)
{
    struct jid *jid = cli_user_account(o->argv[1]);
    if (!jid)
        return 1;
    enum error e = user_store_commit(
        s, accounts_delete(store_begin(s->accounts), jid_local(jid), jid_domain(jid)));
    bool existed = e == ERR_OK;
    if (e == ERR_OK || e == ERR_NOT_FOUND) {
        cli_user_tell(s, "user-gone", jid);
        wait_until_gone(s, jid);
        cli_user_end_asleep(s, jid, STR(""));
        e = user_store_commit(s, users_delete(store_begin(s->users), jid_bare(jid)));
    }
    if (e != ERR_OK)
        cli_error("cannot delete %s: %s", jid->text, error_text(e));
    else if (!existed)
        cli_error("there is no account %s", jid->text);
    else
        fprintf(stderr, "deleted %s and everything it had\n", jid->text);
    jid_unref(jid);
    return e == ERR_OK && existed ? 0 : 1;
}

/* For a person; a script gets an address a line, or asks for --json. */
static void print_age(int64_t created, bool disabled)
{
    char stamp[32];
    struct tm tm;
    time_t when = (time_t)created;
    if (when && gmtime_r(&when, &tm) && strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%SZ", &tm))
        printf("  made %s", stamp);
    if (disabled)
        printf("  disabled");
}

static void print_accounts(void *arg, const struct store_rows *rows)
{
    const struct cli_options *o = arg;
    json_t *list = o->json ? json_array() : NULL;
    for (size_t i = 0; i < store_rows_count(rows); i++) {
        struct str user = store_text(rows, i, 0), realm = store_text(rows, i, 1);
        if (!list) {
            printf("%.*s@%.*s", STR_ARG(user), STR_ARG(realm));
            if (isatty(STDOUT_FILENO))
                print_age(store_int(rows, i, 2), store_int(rows, i, 3) != 0);
            puts("");
            continue;
        }
        char jid[2100];
        snprintf(jid, sizeof jid, "%.*s@%.*s", STR_ARG(user), STR_ARG(realm));
        json_array_append_new(list, json_pack("{s:s, s:I, s:b}", "jid", jid, "created",
                                              (json_int_t)store_int(rows, i, 2), "disabled",
                                              (int)store_int(rows, i, 3)));
    }
    if (list) {
        json_dumpf(list, stdout, JSON_INDENT(2));
        puts("");
        json_decref(list);
    }
}

static int user_list(struct cli_options *o, struct user_store *s, const struct config *config)
{
    char domain[1024];
    size_t len = 0;
    struct str realm = STR_NULL;
    if (o->argc > 1) {
        if (!jid_prepare_domain(str_of(o->argv[1]), domain, &len)) {
            cli_error("\"%s\" is no domain", o->argv[1]);
            return 1;
        }
        realm = (struct str){domain, len};
    }
    struct user_store_read r = {.store = s, .fn = print_accounts, .arg = o};
    accounts_list(s->accounts, realm, user_store_on_rows, &r);
    enum error e = user_store_wait(&r);
    if (e != ERR_OK)
        cli_error("cannot read the accounts: %s", error_text(e));
    return e == ERR_OK ? 0 : 1;
}

/* For groups of everybody. */
static void tell_accounts(const struct user_store *s)
{
    json_t *request = json_pack("{s:s}", "command", "accounts-new");
    control_request_all(s->data_dir, request, ignore_answer, NULL);
    json_decref(request);
}

/* The file is opened before the databases: as root, that is before taking on their owner's
 * identity. */
static int user_import(struct cli_options *o, const struct config *config)
{
    struct user_store s;
    struct stat st;
    const char *path = o->argv[1];
    int code = 1;
    FILE *file = fopen(path, "re");
    if (!file || fstat(fileno(file), &st) != 0 || S_ISDIR(st.st_mode)) {
        cli_error("cannot read %s: %s", path, file ? "it is no file" : strerror(errno));
    } else if (user_store_open(&s, config)) {
        code = user_import_run(&s, path, file);
        tell_accounts(&s);
        user_store_close(&s);
    }
    if (file)
        fclose(file);
    return code;
}

static const struct user_command user_commands[] = {
    {"add", 1, 1, user_add},
    {"list", 0, 1, user_list},
    {"passwd", 1, 1, user_passwd},
    {"del", 1, 1, user_del},
    {"disable", 1, 1, cli_user_disable},
    {"enable", 1, 1, cli_user_enable},
    {"sessions", 0, 1, cli_user_sessions},
    {"kick", 1, 1, cli_user_kick},
    {"roster", 1, 1, cli_user_roster},
    {"vcard", 1, 1, cli_user_vcard},
    {"last", 1, 1, cli_user_last},
    {"devices", 1, 1, cli_user_devices},
    {"import", 1, 1, NULL}, /* opens the databases itself */
};

static const struct user_command *find_command(const struct cli_options *o)
{
    const char *name = o->argc > 0 ? o->argv[0] : "";
    for (size_t i = 0; i < sizeof user_commands / sizeof *user_commands; i++) {
        const struct user_command *c = &user_commands[i];
        if (strcmp(c->name, name) == 0 && o->argc - 1 >= c->least && o->argc - 1 <= c->most)
            return c;
    }
    cli_error("write one of: user add | list | passwd | del | disable | enable | sessions | kick | "
              "roster "
              "| vcard | last | devices | import; `jackdaw user --help` tells what each takes");
    return NULL;
}

int cli_user(struct cli_options *o)
{
    struct user_store s;
    const struct user_command *command = find_command(o);
    struct config *config = command ? cli_config(o) : NULL;
    int code = command ? 1 : 2;
    if (config && strcmp(config->auth_driver, "store") != 0)
        fprintf(stderr,
                "note: auth.driver is \"%s\" (%s): passwords are known there; the accounts of this "
                "command are the server's own, and nobody logs in by them\n",
                config->auth_driver, config_origin(config, "auth.driver"));
    if (config && !command->run) {
        code = user_import(o, config);
    } else if (config && user_store_open(&s, config)) {
        code = command->run(o, &s, config);
        user_store_close(&s);
    }
    config_destroy(config);
    return code;
}
