/* Import: lines are read as fast as keys can be derived. WINDOW accounts are under way at a time:
 * their keys are made on the loop's pool threads (that is nearly all the work), then both databases
 * are written, in groups by themselves. A line that is wrong is reported and skipped. */
#include "cli/user_import.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "cli/csv.h"
#include "cli/progress.h"
#include "xmpp/jid.h"

enum { WINDOW = 256 };

struct import {
    struct user_store *store;
    const char *path;
    FILE *file;
    struct csv csv;
    off_t size;
    long done; /* of its bytes, for the bar */
    struct progress progress;
    bool at_end;
    size_t under_way, made, skipped;
};

/* One account on its way. */
struct row {
    struct loop_work work; /* first */
    struct import *import;
    unsigned line;
    long offset; /* in the file, behind the record */
    struct jid *jid;
    char *password;
    bool usable;
    struct scram_keys keys[SCRAM_HASHES];
};

static void skip(struct import *i, unsigned line, const char *why)
{
    progress_clear(&i->progress);
    fprintf(stderr, "%s:%u: %s; skipped\n", i->path, line, why);
    i->skipped++;
}

/* `offset`: how far the file is done. */
static void show_progress(struct import *i, long offset)
{
    char doing[32];
    (void)snprintf(doing, sizeof doing, "%zu accounts", i->made);
    if (i->size > 0 && offset > i->done)
        progress_show(&i->progress, doing, (uint64_t)(i->done = offset), (uint64_t)i->size);
}

static void fill(struct import *i);

static void row_finish(struct row *r)
{
    struct import *i = r->import;
    long offset = r->offset;
    mem_wipe(r->password, strlen(r->password));
    mem_wipe(r->keys, sizeof r->keys);
    free(r->password);
    jid_unref(r->jid);
    free(r);
    i->under_way--;
    fill(i);
    show_progress(i, offset);
    if (i->at_end && i->under_way == 0)
        loop_stop(i->store->loop);
}

static void on_activated(void *arg, enum error e, const struct store_rows *rows)
{
    struct row *r = arg;
    if (e == ERR_OK)
        r->import->made++;
    else
        skip(r->import, r->line, "the account was made, but could not be activated");
    row_finish(r);
}

static void on_created(void *arg, enum error e, const struct store_rows *rows)
{
    struct row *r = arg;
    struct user_store *s = r->import->store;
    if (e != ERR_OK) {
        skip(r->import, r->line,
             e == ERR_EXISTS ? "this account exists already" : "the account could not be stored");
        row_finish(r);
        return;
    }
    struct store_txn *t = store_begin(s->users);
    store_commit(users_activate_new(t, jid_bare(r->jid), loop_wall(s->loop) / 1000), on_activated,
                 r);
}

static void on_work(struct loop_work *work)
{
    struct row *r = MEM_CONTAINER(work, struct row, work);
    r->usable = accounts_derive_salted(str_of(r->password), r->keys);
}

static void on_derived(struct loop_work *work)
{
    struct row *r = MEM_CONTAINER(work, struct row, work);
    if (!r->usable) {
        skip(r->import, r->line,
             "the password is empty or has characters that passwords may not have");
        row_finish(r);
        return;
    }
    struct store_txn *t = store_begin(r->import->store->accounts);
    store_commit(accounts_create(t, jid_local(r->jid), jid_domain(r->jid), r->keys), on_created, r);
}

/* NULL when the record is an account's; else what is wrong with it. */
static const char *take_record(struct import *i, struct row *r)
{
    struct str jid = csv_field(&i->csv, 0), password = csv_field(&i->csv, 1);
    if (i->csv.count != 2)
        return "this is not JID,PASSWORD";
    r->jid = jid_parse(jid);
    if (!r->jid || !r->jid->local_len || !jid_is_bare(r->jid)) {
        jid_unref(r->jid);
        return "the first field is no account: write NAME@DOMAIN";
    }
    if (!jid_local_unconfusable(jid_local(r->jid))) {
        jid_unref(r->jid);
        return "the name mixes letters of different scripts that look alike";
    }
    r->password = str_dup(password);
    return NULL;
}

static void start_row(struct import *i)
{
    struct row *r = MEM_NEW(struct row);
    const char *wrong = take_record(i, r);
    if (wrong) {
        free(r);
        skip(i, i->csv.line, wrong);
        return;
    }
    r->import = i;
    r->line = i->csv.line;
    r->offset = ftell(i->file);
    r->work = (struct loop_work){on_work, on_derived, NULL};
    accounts_salt(i->store->random, USER_IMPORT_ITERATIONS, r->keys);
    i->under_way++;
    loop_work(i->store->loop, &r->work);
}

static void fill(struct import *i)
{
    while (!i->at_end && i->under_way < WINDOW) {
        switch (csv_next(&i->csv)) {
        case CSV_END:
            i->at_end = true;
            break;
        case CSV_BAD:
            skip(i, i->csv.line, i->csv.problem);
            break;
        case CSV_RECORD:
            /* A header line, as RFC 4180 section 2.3 allows. */
            if (i->csv.line > 1 || !str_is(csv_field(&i->csv, 0), "jid"))
                start_row(i);
            break;
        }
    }
}

int user_import_run(struct user_store *s, const char *path, FILE *file)
{
    struct stat st = {0};
    struct import i = {.store = s, .path = path, .file = file};
    progress_init(&i.progress);
    (void)fstat(fileno(file), &st); /* without a size there is no progress to show */
    i.size = st.st_size;
    csv_init(&i.csv, i.file);
    fill(&i);
    if (i.under_way > 0)
        loop_run(s->loop);
    progress_clear(&i.progress);
    if (ferror(i.file)) {
        cli_error("reading %s failed: what is behind line %u was not imported", path, i.csv.line);
        i.skipped++;
    }
    csv_finish(&i.csv);
    printf("imported %zu accounts", i.made);
    if (i.skipped)
        printf(", skipped %zu lines", i.skipped);
    puts("");
    return i.skipped ? 1 : 0;
}
