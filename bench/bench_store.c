/* What durable storage costs: CPU per offline message stored and fetched, all threads, through the
 * typed interface, and the time that passes. bench_store FILE|postgresql://... [messages]: one
 * table of results on stdout. The file is made and must not exist; of PostgreSQL only this
 * process's CPU is seen. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "base/mem.h"
#include "store/users.h"

enum { QUOTA = 1000000 };

struct run {
    struct loop *loop;
    struct store *store;
    size_t total, submitted, done, window;
    bool fetching;
    size_t owners;
    uint32_t limit;
    size_t rows;
};

static double cpu_us(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e6 +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static void submit(struct run *r);

static void on_done(void *arg, enum error e, const struct store_rows *rows)
{
    struct run *r = arg;
    if (e != ERR_OK) {
        fprintf(stderr, "bench_store: %s\n", error_text(e));
        exit(1);
    }
    r->rows += store_rows_count(rows);
    r->done++;
    if (r->submitted < r->total)
        submit(r);
    else if (r->done == r->submitted)
        loop_stop(r->loop);
}

static void submit(struct run *r)
{
    static const char body[] =
        "<message xmlns='jabber:client' from='romeo@montague.example/orchard' id='ktx72v49'"
        " to='juliet@capulet.example' type='chat' xml:lang='en'><body>Neither, fair saint, if "
        "either "
        "thee dislike. What man art thou that thus bescreen'd in night so stumblest on my counsel?"
        "</body><delay xmlns='urn:xmpp:delay' from='capulet.example' stamp='2026-11-22T08:00:00Z'/>"
        "</message>";
    char owner[64];
    int len = snprintf(owner, sizeof owner, "user%zu@capulet.example", r->submitted % r->owners);
    struct str o = {owner, (size_t)len};
    r->submitted++;
    if (r->fetching)
        queue_load(r->store, o, 0, r->limit, on_done, r);
    else
        store_commit(
            queue_push(store_begin(r->store), o, store_sequence(r->store), str_of(body), QUOTA),
            on_done, r);
}

static void measure(struct run *r, const char *what, size_t total, size_t window)
{
    *r = (struct run){
        r->loop,          r->store, .total = total, .fetching = r->fetching, .owners = r->owners,
        .limit = r->limit};
    double before = cpu_us();
    int64_t began = loop_wall(r->loop);
    for (size_t i = 0; i < window; i++)
        submit(r);
    loop_run(r->loop);
    double spent = cpu_us() - before;
    size_t units = r->fetching ? r->rows : r->total;
    int64_t passed = loop_wall(r->loop) - began;
    printf("%-28s window %4zu  %8zu messages  %6.1f us CPU each  %7.0f a second\n", what, window,
           units, spent / (double)units, passed ? 1000.0 * (double)units / (double)passed : 0.0);
}

int main(int argc, char **argv)
{
    char url[512], why[512];
    size_t messages = argc > 2 ? (size_t)strtoul(argv[2], NULL, 10) : 20000;
    if (argc < 2) {
        fprintf(stderr, "usage: bench_store FILE [messages]\n");
        return 2;
    }
    struct run r = {.loop = loop_create(),
                    .owners = argc > 4 ? (size_t)strtoul(argv[4], NULL, 10) : 50};
    snprintf(url, sizeof url, "%s%s", strstr(argv[1], "://") ? "" : "sqlite:", argv[1]);
    if (store_open(r.loop, (struct log){0}, STORE_USERS, url, &r.store, why, sizeof why) !=
        ERR_OK) {
        fprintf(stderr, "bench_store: %s\n", why);
        return 1;
    }
    if (argc > 3) {
        measure(&r, "store offline", messages, (size_t)strtoul(argv[3], NULL, 10));
        store_close(r.store);
        loop_destroy(r.loop);
        return 0;
    }
    measure(&r, "store offline", messages, 1);
    measure(&r, "store offline", messages, 50);
    measure(&r, "store offline", messages, 400);
    r.fetching = true;
    r.limit = 100;
    measure(&r, "fetch, 100 a request", messages / 10, 50);
    r.limit = 1;
    measure(&r, "fetch, 1 a request", messages, 1);
    measure(&r, "fetch, 1 a request", messages, 50);
    store_close(r.store);
    loop_destroy(r.loop);
    return 0;
}
