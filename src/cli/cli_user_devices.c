/* `jackdaw user devices JID [--revoke ID|all]`: which clients an account has logged in with
 * (XEP-0388), and taking their tokens (XEP-0484) and sessions away. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/cli_user.h"
#include "store/devices.h"
#include "xmpp/sasl2.h"

enum { ID, SOFTWARE, DEVICE, ADDRESS, MADE, USED, EXPIRES };

static void stamp_of(int64_t seconds, char *out, size_t size)
{
    time_t when = (time_t)seconds;
    struct tm tm;

    if (seconds == 0 || !gmtime_r(&when, &tm) || !strftime(out, size, "%Y-%m-%dT%H:%M:%SZ", &tm))
        (void)snprintf(out, size, "-");
}

/* What a client says of itself may have anything in it but what XML forbids: bytes that a terminal
 * would act upon (U+0080 to U+009F) are not for it. */
static void print_text(struct str text)
{
    if (text.len == 0)
        putchar('-');
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.data[i];
        bool control = c < 0x20 || c == 0x7F ||
                       (c == 0xC2 && i + 1 < text.len && (unsigned char)text.data[i + 1] < 0xA0);
        if (control)
            putchar('?');
        else
            putchar(c);
        if (control && c == 0xC2)
            i++;
    }
}

static json_t *text_json(const struct store_rows *rows, size_t row, unsigned column)
{
    struct str text = store_text(rows, row, column);

    return json_stringn(text.data ? text.data : "", text.len);
}

struct listing {
    const struct cli_options *o;
    size_t count;
};

static void print_json(const struct store_rows *rows)
{
    json_t *list = json_array();

    for (size_t i = 0; i < store_rows_count(rows); i++)
        json_array_append_new(
            list, json_pack("{s:o, s:o, s:o, s:o, s:I, s:I, s:I}", "id", text_json(rows, i, ID),
                            "software", text_json(rows, i, SOFTWARE), "device",
                            text_json(rows, i, DEVICE), "address", text_json(rows, i, ADDRESS),
                            "first", (json_int_t)(store_int(rows, i, MADE) / 1000), "last",
                            (json_int_t)(store_int(rows, i, USED) / 1000), "token_expires",
                            (json_int_t)store_int(rows, i, EXPIRES)));
    json_dumpf(list, stdout, JSON_INDENT(2));
    puts("");
    json_decref(list);
}

static void print_devices(void *arg, const struct store_rows *rows)
{
    struct listing *l = arg;
    char used[32], expires[32];

    l->count = store_rows_count(rows);
    if (l->o->json) {
        print_json(rows);
        return;
    }
    for (size_t i = 0; i < l->count; i++) {
        stamp_of(store_int(rows, i, USED) / 1000, used, sizeof used);
        stamp_of(store_int(rows, i, EXPIRES), expires, sizeof expires);
        printf("%.*s  %s  from %.*s  token until %s  ", STR_ARG(store_text(rows, i, ID)), used,
               STR_ARG(store_text(rows, i, ADDRESS)), expires);
        print_text(store_text(rows, i, SOFTWARE));
        printf("  ");
        print_text(store_text(rows, i, DEVICE));
        puts("");
    }
}

static int list(const struct cli_options *o, struct user_store *s, const struct jid *jid)
{
    struct listing l = {o, 0};
    struct user_store_read r = {.store = s, .fn = print_devices, .arg = &l};

    devices_list(s->accounts, jid_local(jid), jid_domain(jid), user_store_on_rows, &r);
    enum error e = user_store_wait(&r);
    if (e != ERR_OK)
        cli_error("cannot read the devices of %s: %s", jid->text, error_text(e));
    else if (l.count == 0 && !o->json)
        fprintf(stderr, "%s has logged in with no client that says which one it is\n", jid->text);
    return e == ERR_OK ? 0 : 1;
}

static void count_ended(void *arg, const json_t *answer)
{
    *(long long *)arg += (long long)json_integer_value(json_object_get(answer, "ended"));
}

/* First the tokens are gone, then the running server ends what is logged in. */
static int revoke(const struct cli_options *o, struct user_store *s, const struct jid *jid)
{
    bool all = strcmp(o->revoke, "all") == 0;
    unsigned char uuid[16];
    char id[SASL2_UUID + 1] = "all";
    long long ended = 0;

    if (!all && !sasl2_parse_uuid(str_of(o->revoke), uuid)) {
        cli_error("\"%s\" is no id of a device: `jackdaw user devices %s` shows them; or write all",
                  o->revoke, jid->text);
        return 1;
    }
    if (!all)
        sasl2_write_uuid(uuid, id);
    const struct device d = {jid_local(jid), jid_domain(jid), str_of(id)};
    struct store_txn *t = store_begin(s->accounts);
    enum error e =
        user_store_commit(s, all ? devices_remove_all(t, d.user, d.realm) : devices_remove(t, &d));
    if (e != ERR_OK) {
        if (e == ERR_NOT_FOUND)
            cli_error("%s has no device %s", jid->text, id);
        else
            cli_error("cannot revoke: %s", error_text(e));
        return 1;
    }
    json_t *request =
        json_pack("{s:s, s:s, s:s}", "command", "user-device", "jid", jid->text, "device", id);
    /* Which streams are whose a c2s knows: without one those of all its devices end. */
    if (control_request_all(s->data_dir, request, count_ended, &ended) == 0)
        cli_user_end_asleep(s, jid, STR("d"));
    json_decref(request);
    fprintf(stderr, "revoked %s of %s; ended %lld session%s\n", all ? "every device" : id,
            jid->text, ended, ended == 1 ? "" : "s");
    return 0;
}

int cli_user_devices(struct cli_options *o, struct user_store *s, const struct config *config)
{
    struct jid *jid = cli_user_account(o->argv[1]);
    int code = 1;

    if (jid)
        code = o->revoke ? revoke(o, s, jid) : list(o, s, jid);
    jid_unref(jid);
    return code;
}
