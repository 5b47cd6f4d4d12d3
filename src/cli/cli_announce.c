/* `jackdaw announce` and `jackdaw motd`: a word to the users of a domain. The message of the day is
 * written to the database here, with the server or without; who is online hears it from the running
 * server. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/user_store.h"
#include "xmpp/announcement.h"

struct told {
    size_t ok;
    const char *domain;
};

static void take_answer(void *arg, const json_t *answer)
{
    struct told *told = arg;
    const char *error = json_string_value(json_object_get(answer, "error"));

    if (json_is_true(json_object_get(answer, "ok")))
        told->ok++;
    else if (error && strcmp(error, "unknown command") != 0)
        cli_error("%s: %s", told->domain, error);
}

/* Takes the request. How many session managers took it. */
static size_t tell(const char *data_dir, const char *domain, json_t *request)
{
    struct told told = {0, domain};

    (void)control_request_all(data_dir, request, take_answer, &told);
    json_decref(request);
    return told.ok;
}

static int announce_online_now(const struct config *config, const char *text)
{
    char data_dir[CLI_PATH_MAX];
    size_t told = 0;

    if (!cli_data_dir(config, data_dir))
        return 1;
    for (size_t i = 0; i < config->server_domains.count; i++) {
        const char *domain = config->server_domains.items[i];
        told += tell(
            data_dir, domain,
            json_pack("{s:s, s:s, s:s}", "command", "announce", "domain", domain, "text", text));
    }
    if (told == 0)
        cli_error("nobody was told: no server runs on %s, or it does not serve these domains",
                  data_dir);
    return told ? 0 : 1;
}

/* --- the message of the day --- */

/* As the session manager stores it. */
static bool write_whole(const struct stanza *message, struct buffer *out)
{
    struct stanza_stamp stamp = {.xmlns = stanza_ns(message, STANZA_ROOT)};

    return stanza_write(message, &stamp, out);
}

/* `text` NULL: there is none any more. */
static bool change(struct user_store *s, const char *domain, const char *text, bool online)
{
    int64_t now = loop_wall(s->loop) / 1000;
    struct stanza *message = text ? announcement_create(str_of(domain), NULL, text) : NULL;
    struct buffer text_of;
    struct str xml = STR_NULL;
    buffer_init(&text_of, 1u << 20);
    if (message && write_whole(message, &text_of))
        xml = buffer_str(&text_of);
    struct store_txn *t = store_begin(s->users);
    t = xml.data ? motd_set(t, str_of(domain), xml, now) : motd_delete(t, str_of(domain));
    enum error e = user_store_commit(s, t);
    if (e != ERR_OK)
        cli_error("cannot store the message of the day of %s: %s", domain, error_text(e));
    else
        (void)tell(s->data_dir, domain,
                   json_pack("{s:s, s:s, s:o?, s:I}", "command", "motd", "domain", domain, "online",
                             online ? json_stringn(xml.data, xml.len) : NULL, "time",
                             (json_int_t)now));
    buffer_finish(&text_of);
    stanza_unref(message);
    return e == ERR_OK;
}

static int change_all(const struct config *config, const char *text, bool online)
{
    struct user_store s;
    bool ok = user_store_open(&s, config);
    if (!ok)
        return 1;
    for (size_t i = 0; i < config->server_domains.count && ok; i++)
        ok = change(&s, config->server_domains.items[i], text, online);
    user_store_close(&s);
    return ok ? 0 : 1;
}

static void print_motds(void *arg, const struct store_rows *rows)
{
    for (size_t i = 0; i < store_rows_count(rows); i++)
        printf("%.*s: %.*s\n", STR_ARG(store_text(rows, i, 0)), STR_ARG(store_text(rows, i, 1)));
    if (store_rows_count(rows) == 0)
        fprintf(stderr, "there is no message of the day\n");
}

static int show(const struct config *config)
{
    struct user_store s;
    if (!user_store_open(&s, config))
        return 1;
    struct user_store_read r = {.store = &s, .fn = print_motds};
    motd_list(s.users, user_store_on_rows, &r);
    enum error e = user_store_wait(&r);
    if (e != ERR_OK)
        cli_error("cannot read the messages of the day: %s", error_text(e));
    user_store_close(&s);
    return e == ERR_OK ? 0 : 1;
}

static bool text_ok(const char *text)
{
    if (*text && builder_text_ok(str_of(text)))
        return true;
    cli_error("the text is empty, or has characters that XML does not allow");
    return false;
}

int cli_announce(struct cli_options *o)
{
    if (o->argc != 1) {
        cli_error("write the text as one argument: jackdaw announce [--online] 'TEXT'");
        return 2;
    }
    struct config *config = text_ok(o->argv[0]) ? cli_config(o) : NULL;
    int code = 1;
    if (config)
        code = o->online ? announce_online_now(config, o->argv[0])
                         : change_all(config, o->argv[0], true);
    config_destroy(config);
    return code;
}

static int motd(const struct cli_options *o, const struct config *config)
{
    const char *what = o->argc > 0 ? o->argv[0] : "";
    bool set = strcmp(what, "set") == 0;
    if (o->argc == 0)
        return show(config);
    if (o->argc == 1 && strcmp(what, "delete") == 0)
        return change_all(config, NULL, false);
    if (o->argc == 2 && (set || strcmp(what, "update") == 0))
        return text_ok(o->argv[1]) ? change_all(config, o->argv[1], set) : 1;
    cli_error("write one of: motd | motd set 'TEXT' | motd update 'TEXT' | motd delete");
    return 2;
}

int cli_motd(struct cli_options *o)
{
    struct config *config = cli_config(o);
    int code = config ? motd(o, config) : 1;
    config_destroy(config);
    return code;
}
