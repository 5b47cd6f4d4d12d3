/* First the names of all accounts, then batch after batch of what they have. */
#include "move/export.h"

#include <errno.h>
#include <stdlib.h>

#include "base/mem.h"
#include "move/pie.h"

enum { BATCH = 64, WRITE_MAX = INT32_MAX };

struct names {
    struct jid **jids;
    size_t count, cap;
    bool of_accounts; /* rows are username and realm */
};

struct export
{
    const struct export_options *o;
    struct export_result *result;
    struct move_why why;
    struct names names;
    char *host; /* whose users are being written */
    struct buffer out;
};

struct listing {
    struct export *x;
    enum error error;
};

static void add_name(struct names *n, struct jid *jid)
{
    if (!jid)
        return;
    if (n->count == n->cap) {
        n->cap = n->cap ? 2 * n->cap : 64;
        n->jids = mem_realloc(n->jids, n->cap * sizeof(void *));
    }
    n->jids[n->count++] = jid;
}

static void on_names(void *arg, enum error e, const struct store_rows *rows)
{
    struct listing *l = arg;
    struct names *n = &l->x->names;
    for (size_t i = 0; e == ERR_OK && i < store_rows_count(rows); i++) {
        struct str first = store_text(rows, i, 0);
        add_name(n, n->of_accounts ? jid_from_parts(first, store_text(rows, i, 1), STR_NULL)
                                   : jid_parse(first));
    }
    l->error = e;
    loop_stop(l->x->o->stores->loop);
}

/* The domains of the accounts and those of the configuration, for what they have themselves. */
static void add_domains(struct export *x)
{
    struct names *n = &x->names;
    struct jid *last = NULL;
    for (size_t i = 0, count = n->count; i < count; i++) {
        struct jid *jid = n->jids[i];
        if (!last || !str_eq(jid_domain(jid), jid_domain(last)))
            add_name(n, jid_from_parts(STR_NULL, jid_domain(jid), STR_NULL));
        last = jid;
    }
    for (size_t i = 0; i < x->o->domain_count; i++)
        add_name(n, jid_parse(str_of(x->o->domains[i])));
}

static int by_domain(const void *a, const void *b)
{
    const struct jid *x = *(struct jid *const *)a, *y = *(struct jid *const *)b;
    int order = str_cmp(jid_domain(x), jid_domain(y));
    return order ? order : str_cmp(jid_local(x), jid_local(y));
}

/* Accounts, users of ours whose passwords somebody else knows, and domains; each once, sorted. */
static enum error list(struct export *x)
{
    struct listing l = {.x = x};
    struct names *n = &x->names;
    size_t kept = 0;
    n->of_accounts = true;
    accounts_list(x->o->stores->accounts, STR_NULL, on_names, &l);
    loop_run(x->o->stores->loop);
    if (l.error == ERR_OK) {
        n->of_accounts = false;
        users_list(x->o->stores->users, STR_NULL, on_names, &l);
        loop_run(x->o->stores->loop);
    }
    if (l.error != ERR_OK)
        return move_fail(x->why, l.error, "cannot read our own database: %s", error_text(l.error));
    if (!x->o->only)
        add_domains(x);
    if (n->count)
        qsort(n->jids, n->count, sizeof(void *), by_domain);
    for (size_t i = 0; i < n->count; i++) {
        struct jid *jid = n->jids[i];
        bool wanted =
            (!x->o->only || jid_eq(jid, x->o->only)) && (!kept || !jid_eq(jid, n->jids[kept - 1]));
        if (wanted)
            n->jids[kept++] = jid;
        else
            jid_unref(jid);
    }
    n->count = kept;
    return !x->o->only || kept
               ? ERR_OK
               : move_fail(x->why, ERR_NOT_FOUND, "there is no account %s", x->o->only->text);
}

static enum error flush(struct export *x)
{
    struct str out = buffer_str(&x->out);
    size_t written = fwrite(out.data, 1, out.len, x->o->to);
    int code = errno;
    bool ok = written == out.len && !x->out.overflowed;
    buffer_clear(&x->out);
    return ok ? ERR_OK
              : move_fail(x->why, ERR_IO, "cannot write the file: %s", error_errno_text(code));
}

static void enter_host(struct export *x, struct str domain)
{
    if (x->host && str_eq(str_of(x->host), domain))
        return;
    if (x->host)
        pie_write_host_end(&x->out);
    free(x->host);
    x->host = str_dup(domain);
    pie_write_host(&x->out, domain);
}

static enum error write_batch(struct export *x, struct jid **jids, size_t count)
{
    struct person *persons[BATCH];
    struct person_reads reads = {.stores = x->o->stores};
    for (size_t i = 0; i < count; i++) {
        persons[i] = person_create(jid_ref(jids[i]));
        person_load(&reads, persons[i]);
    }
    enum error e = person_loaded(&reads);
    if (e != ERR_OK)
        move_fail(x->why, e, "cannot read our own database: %s", error_text(e));
    for (size_t i = 0; i < count; i++) {
        struct person *p = persons[i];
        (void)person_sort(p);
        bool is_user = p->jid->local_len != 0;
        if (e == ERR_OK && (is_user || p->count)) {
            enter_host(x, jid_domain(p->jid));
            pie_write_person(&x->out, p);
            e = flush(x);
            x->result->persons += is_user;
        }
        for (size_t k = 0; k < p->count; k++)
            person_tally(&x->result->kinds[p->facts[k].kind], p, &p->facts[k]);
        person_destroy(p);
    }
    return e;
}

enum error export_run(const struct export_options *o, struct export_result *ret,
                      struct move_why why)
{
    struct export x = {.o = o, .result = ret, .why = why};
    buffer_init(&x.out, WRITE_MAX);
    enum error e = list(&x);
    pie_write_begin(&x.out);
    for (size_t i = 0; e == ERR_OK && i < x.names.count; i += BATCH) {
        size_t left = x.names.count - i;
        e = write_batch(&x, x.names.jids + i, left < BATCH ? left : BATCH);
        if (o->progress)
            o->progress(o->arg, i + BATCH < x.names.count ? i + BATCH : x.names.count,
                        x.names.count);
    }
    if (x.host)
        pie_write_host_end(&x.out);
    pie_write_end(&x.out);
    if (e == ERR_OK)
        e = flush(&x);
    for (size_t i = 0; i < x.names.count; i++)
        jid_unref(x.names.jids[i]);
    free(x.names.jids);
    free(x.host);
    buffer_finish(&x.out);
    return e;
}
