/* What happens to an address's messages, as it happens: see trace_live.h. */
#include "cli/trace_live.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/trace_print.h"

#define WATCH_MAX 100000u /* messages that are followed at a time */
#define POLL_MS   100u
#define SETTLE_US 300000 /* what another process noted before has come by then */
#define LOOK_MS   2000u  /* how often new processes are looked for, and bodies asked for */

struct followed {
    struct list node;
    uint64_t id;
};

struct live {
    const struct trace_wish *wish;
    struct trace_rings *rings;
    struct trace_steps steps; /* read, and not shown yet */
    struct loop *loop;
    struct loop_timer poll, look, end;
    struct hash ids; /* struct followed */
    struct list oldest;
    uint64_t left; /* lines that are still to be shown */
};

static void forget(struct live *l, struct followed *f)
{
    hash_del(&l->ids, trace_key(&f->id));
    list_remove(&f->node);
    free(f);
}

/* Of a message that concerns the address everything is shown from there on. */
static bool follows(struct live *l, const struct ledger_record *r)
{
    struct followed *f = hash_get(&l->ids, trace_key(&r->id));

    if (f)
        return true;
    if (!trace_concerns(r, l->wish->jid))
        return false;
    if (l->ids.count == WATCH_MAX)
        forget(l, LIST_ENTRY(l->oldest.next, struct followed, node));
    f = MEM_NEW(struct followed);
    f->id = r->id;
    list_push(&l->oldest, &f->node);
    hash_put(&l->ids, trace_key(&f->id), f);
    return true;
}

static void show_settled(struct live *l, int64_t until)
{
    size_t i = 0;

    trace_steps_sort(&l->steps);
    for (; i < l->steps.count && l->steps.items[i]->record.time <= until && l->left; i++) {
        if (!follows(l, &l->steps.items[i]->record))
            continue;
        if (l->wish->json)
            trace_print_json(l->rings, l->steps.items[i]);
        else
            trace_print_line(l->steps.items[i]);
        l->left--;
    }
    trace_steps_drop(&l->steps, i);
    fflush(stdout);
}

static void on_poll(struct loop_timer *timer)
{
    struct live *l = MEM_CONTAINER(timer, struct live, poll);
    struct trace_step step;

    while (trace_rings_next(l->rings, &step))
        trace_steps_add(&l->steps, &step);
    show_settled(l, loop_wall_us(l->loop) - SETTLE_US);
    if (l->left)
        loop_timer_start(timer, POLL_MS);
    else
        loop_stop(l->loop);
}

static void ignore(void *arg, const json_t *answer)
{
}

static void on_look(struct loop_timer *timer)
{
    struct live *l = MEM_CONTAINER(timer, struct live, look);

    trace_rings_look(l->rings);
    if (l->wish->bodies) {
        json_t *request = json_pack("{s:s, s:s#}", "command", "trace-bodies", "jid",
                                    l->wish->jid.data, (int)l->wish->jid.len);
        if (control_request_all(l->wish->data_dir, request, ignore, NULL) == 0)
            cli_error("no server is running on %s, so nothing is written down", l->wish->data_dir);
        json_decref(request);
    }
    loop_timer_start(timer, LOOK_MS);
}

static void on_end(struct loop_timer *timer)
{
    loop_stop(MEM_CONTAINER(timer, struct live, end)->loop);
}

static void on_signal(void *arg, int signum)
{
    loop_stop(arg);
}

static void start(struct live *l)
{
    trace_ids_init(&l->ids);
    list_init(&l->oldest);
    l->loop = loop_create();
    loop_timer_init(&l->poll, l->loop, on_poll);
    loop_timer_init(&l->look, l->loop, on_look);
    loop_timer_init(&l->end, l->loop, on_end);
    loop_on_signal(l->loop, SIGINT, on_signal, l->loop);
    loop_on_signal(l->loop, SIGTERM, on_signal, l->loop);
    trace_rings_rewind(l->rings, true);
    on_look(&l->look);
    loop_timer_start(&l->poll, 0);
    if (l->wish->seconds)
        loop_timer_start(&l->end, l->wish->seconds * 1000);
}

static void finish(struct live *l)
{
    loop_timer_stop(&l->poll);
    loop_timer_stop(&l->look);
    loop_timer_stop(&l->end);
    loop_destroy(l->loop);
    while (!list_empty(&l->oldest))
        forget(l, LIST_ENTRY(l->oldest.next, struct followed, node));
    hash_finish(&l->ids);
    trace_steps_drop(&l->steps, l->steps.count);
}

void trace_live(struct trace_rings *rings, const struct trace_wish *wish)
{
    struct live l = {.wish = wish, .rings = rings, .left = wish->count};

    start(&l);
    fprintf(stderr, "following %.*s; Ctrl-C ends it\n", STR_ARG(wish->jid));
    loop_run(l.loop);
    show_settled(&l, INT64_MAX);
    finish(&l);
}
