/* `jackdaw import jabberd2|ejabberd|prosody|xep0227 ...`: another server's accounts into our
 * databases, with a report of what was read, what was stored, and what was not carried and why. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "cli/cli_user.h"
#include "cli/progress.h"
#include "cli/user_import.h"
#include "cli/user_store.h"
#include "move/import.h"
#include "move/jabberd2.h"
#include "move/pie.h"
#include "move/prosody.h"

enum { HEX = 16 /* characters of a hash that are shown */, NOTES_MAX = 1000 };

/* One import. */
struct run {
    struct cli_options *o;
    const struct config *config;
    struct user_store store;
    struct person_stores stores;
    struct move_notes notes;
    struct progress progress;
    struct jid *only;
    uint64_t kinds, notes_shown;
    struct import_result result;
};

struct kind_of_source {
    const char *name;
    int least, most; /* arguments */
    struct move_source *(*open)(struct run *r, struct move_why why);
    void (*report)(const struct run *r, const struct move_source *s); /* may be NULL */
};

/* --- jabberd2 --- */

static int password_kind(const char *name)
{
    for (int i = 0; name && i < OLD_PASSWORD_KINDS; i++)
        if (strcmp(name, old_password_names[i]) == 0)
            return i;
    return -1;
}

static struct move_source *open_jabberd2(struct run *r, struct move_why why)
{
    const struct config_list *domains = &r->config->server_domains;
    struct jabberd2_options o = {.sqlite = r->o->sqlite,
                                 .postgres = r->o->postgres,
                                 .domain = domains->count == 1 ? domains->items[0] : NULL,
                                 .passwords = password_kind(r->o->passwords),
                                 .parsers = r->stores.parsers};
    if (r->o->passwords && o.passwords < 0) {
        move_fail(why, ERR_INVALID, "--passwords is plain, a1hash or crypt");
        return NULL;
    }
    if (!o.sqlite == !o.postgres) {
        move_fail(why, ERR_INVALID,
                  "say where jabberd2's tables are: --sqlite FILE or --postgres URL");
        return NULL;
    }
    return jabberd2_open(&o, &r->notes, why);
}

static void report_jabberd2(const struct run *r, const struct move_source *s)
{
    const uint64_t *passwords = jabberd2_passwords(s);
    puts("jabberd2's tables");
    for (const struct jabberd2_table *t = jabberd2_tables(s); t->name; t++) {
        if (!t->there)
            printf("  %-26s is not in the database\n", t->name);
        else
            printf("  %-26s %8llu rows read, %llu not carried\n", t->name,
                   (unsigned long long)t->rows, (unsigned long long)t->left_out);
    }
    printf("  passwords: %llu plain, %llu a1hash, %llu crypt\n",
           (unsigned long long)passwords[OLD_PASSWORD_PLAIN],
           (unsigned long long)passwords[OLD_PASSWORD_A1HASH],
           (unsigned long long)passwords[OLD_PASSWORD_CRYPT]);
    if (passwords[OLD_PASSWORD_A1HASH] + passwords[OLD_PASSWORD_CRYPT])
        puts("  (hashes become SCRAM keys at the first login, by PLAIN under TLS)");
}

/* --- files --- */

static struct move_source *open_pie(struct run *r, struct move_why why)
{
    return pie_open(r->o->argv[1], &r->notes, why);
}

/* A folder is Prosody's own format, a file the other one. */
static struct move_source *open_prosody(struct run *r, struct move_why why)
{
    struct stat st;
    if (stat(r->o->argv[1], &st) == 0 && S_ISDIR(st.st_mode))
        return prosody_open(r->o->argv[1], &r->notes, why);
    return open_pie(r, why);
}

static const struct kind_of_source sources[] = {
    {"jabberd2", 0, 1, open_jabberd2, report_jabberd2},
    {"ejabberd", 1, 2, open_pie, NULL},
    {"prosody", 1, 2, open_prosody, NULL},
    {"xep0227", 1, 2, open_pie, NULL},
};

/* --- arguments --- */

static bool take_tables(struct run *r)
{
    struct str rest = str_of(r->o->tables), part;
    r->kinds = r->o->tables ? 0 : UINT64_MAX;
    while (str_split(&rest, ',', &part)) {
        int kind = 0;
        while (kind < PERSON_KINDS && !str_is(part, person_kind_names[kind]))
            kind++;
        if (kind == PERSON_KINDS) {
            cli_error("--tables: there is no \"%.*s\" here; there are:", STR_ARG(part));
            for (int i = 0; i < PERSON_KINDS; i++)
                fprintf(stderr, "  %s\n", person_kind_names[i]);
            return false;
        }
        r->kinds |= UINT64_C(1) << kind;
        if (kind == PERSON_ACCOUNT) /* an account comes with its password */
            r->kinds |= UINT64_C(1) << PERSON_STORED_PASSWORD | UINT64_C(1) << PERSON_SCRAM;
    }
    return true;
}

static const struct kind_of_source *take_arguments(struct run *r)
{
    const struct cli_options *o = r->o;
    const char *name = o->argc ? o->argv[0] : "";
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
        const struct kind_of_source *s = &sources[i];
        int arguments = o->argc - 1;
        if (strcmp(s->name, name) != 0 || arguments < s->least || arguments > s->most)
            continue;
        if (!take_tables(r))
            return NULL;
        if (arguments == s->most && !(r->only = cli_user_account(o->argv[o->argc - 1])))
            return NULL;
        return s;
    }
    cli_error("write one of: import jabberd2 --sqlite FILE | import jabberd2 --postgres URL | "
              "import ejabberd FILE | import prosody DIR | import xep0227 FILE; `jackdaw import "
              "--help` tells what each takes");
    return NULL;
}

/* --- the report --- */

static void say(void *arg, const char *text)
{
    struct run *r = arg;
    if (++r->notes_shown > NOTES_MAX)
        return;
    progress_clear(&r->progress);
    fprintf(stderr, "note: %s\n", text);
    if (r->notes_shown == NOTES_MAX)
        fprintf(stderr, "note: more of this is not shown\n");
}

static void on_progress(void *arg, uint64_t done, uint64_t total)
{
    struct run *r = arg;
    progress_show(&r->progress, r->o->dry_run ? "reading" : "importing", done, total);
}

static void print_kind(const struct run *r, int kind)
{
    const struct import_kind *k = &r->result.kinds[kind];
    char before[2 * ROW_HASH], after[2 * ROW_HASH];
    if (!k->read.rows)
        return;
    str_hex(k->read.hash, ROW_HASH, before);
    str_hex(k->stored.hash, ROW_HASH, after);
    printf("  %-26s %8llu read %.*s", person_kind_names[kind], (unsigned long long)k->read.rows,
           HEX, before);
    if (!r->o->dry_run)
        printf("  %8llu stored %.*s", (unsigned long long)k->stored.rows, HEX, after);
    printf("  %llu new, %llu already here", (unsigned long long)k->added,
           (unsigned long long)k->same);
    if (k->kept)
        printf(", %llu kept as they are here", (unsigned long long)k->kept);
    puts("");
}

static bool agree(const struct run *r)
{
    for (int i = 0; i < PERSON_KINDS; i++) {
        const struct import_kind *k = &r->result.kinds[i];
        if (!k->kept &&
            (k->read.rows != k->stored.rows || memcmp(k->read.hash, k->stored.hash, ROW_HASH) != 0))
            return false;
    }
    return true;
}

static int report(const struct run *r, const struct kind_of_source *kind,
                  const struct move_source *s)
{
    uint64_t kept = 0;
    if (kind->report)
        kind->report(r, s);
    puts(r->o->dry_run ? "what would be stored" : "what is stored");
    for (int i = 0; i < PERSON_KINDS; i++) {
        print_kind(r, i);
        kept += r->result.kinds[i].kept;
    }
    printf("%llu accounts and domains%s\n", (unsigned long long)r->result.persons,
           r->o->dry_run ? "; nothing was changed" : "");
    if (!r->o->dry_run && !agree(r)) {
        cli_error("what was stored is not what was read: see the hashes above");
        return 1;
    }
    if (!r->o->dry_run)
        puts("everything stored was read again and is what was read");
    if (!r->result.persons)
        fprintf(stderr, "note: there was nothing to import; a SQLite database whose server was "
                        "killed is whole only with its FILE-wal beside it\n");
    if (kept)
        fprintf(stderr,
                "note: %llu things are here already and differ; they stay as they are (--force "
                "replaces them)\n",
                (unsigned long long)kept);
    if (r->notes.left_out)
        cli_error("%llu things could not be carried; the notes above name them",
                  (unsigned long long)r->notes.left_out);
    return r->notes.left_out ? 1 : 0;
}

/* --- running --- */

static int run_import(struct run *r, const struct kind_of_source *kind, struct move_source *s,
                      struct move_why why)
{
    struct import_options o = {.stores = &r->stores,
                               .source = s,
                               .only = r->only,
                               .kinds = r->kinds,
                               .dry_run = r->o->dry_run,
                               .force = r->o->force,
                               .iterations = USER_IMPORT_ITERATIONS,
                               .progress = on_progress,
                               .arg = r};
    enum error e = import_run(&o, &r->result, why);
    progress_clear(&r->progress);
    if (e == ERR_OK)
        return report(r, kind, s);
    cli_error("import: %s", why.text[0] ? why.text : error_text(e));
    return 1;
}

static int run_with_store(struct run *r, const struct kind_of_source *kind, struct move_source *s,
                          struct move_why why)
{
    if (!user_store_open(&r->store, r->config))
        return 1;
    r->stores.loop = r->store.loop;
    r->stores.random = r->store.random;
    r->stores.accounts = r->store.accounts;
    r->stores.users = r->store.users;
    int code = run_import(r, kind, s, why);
    user_store_close(&r->store);
    return code;
}

/* The source is opened before the databases: as root, that is before taking on their owner's
 * identity. */
static int run_with_source(struct run *r, const struct kind_of_source *kind)
{
    char dir[CLI_PATH_MAX], text[1024] = "";
    struct move_why why = {text, sizeof text};
    int code = 1;
    if (!cli_data_dir(r->config, dir))
        return 1;
    if (control_server_runs(dir) && !r->o->dry_run) {
        cli_error("the server of %s is running: stop it first", dir);
        return 1;
    }
    struct random *random = random_create();
    r->stores.parsers = parser_pool_create(random);
    struct move_source *s = kind->open(r, why);
    if (s)
        code = run_with_store(r, kind, s, why);
    else
        cli_error("import: %s", text);
    move_close(s);
    parser_pool_destroy(r->stores.parsers);
    random_destroy(random);
    return code;
}

int cli_import(struct cli_options *o)
{
    struct run *r = MEM_NEW(struct run);
    int code = 2;
    r->o = o;
    r->notes = (struct move_notes){say, r, 0};
    progress_init(&r->progress);
    const struct kind_of_source *kind = take_arguments(r);
    struct config *config = kind ? cli_config(o) : NULL;
    if (kind)
        code = 1;
    r->config = config;
    if (config)
        code = run_with_source(r, kind);
    config_destroy(config);
    jid_unref(r->only);
    free(r);
    return code;
}
