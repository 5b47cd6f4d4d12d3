/* What the commands are made of: logging sessions in, waiting until the server has done its work,
 * saying what it cost. */
#include "load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void die(const char *what)
{
    fprintf(stderr, "load: %s\n", what);
    exit(1);
}

uint64_t settle(struct load *l)
{
    uint64_t before = cost_cpu_ns(&l->options), now;
    double until = cost_clock() + SETTLE_S;

    for (int quiet = 0; quiet < 4 && cost_clock() < until; before = now) {
        double turn = cost_clock() + 0.1;

        while (cost_clock() < turn)
            load_pump(l, 20);
        now = cost_cpu_ns(&l->options);
        quiet = now - before < 1000000 ? quiet + 1 : 0;
    }
    return before;
}

void sessions_make(struct load *l, int count)
{
    l->sessions = calloc((size_t)count, sizeof(*l->sessions));
    if (!l->sessions)
        die("out of memory");
    l->session_count = count;
    keys_load(l, (size_t)(count > l->options.users ? count : l->options.users) + 1);
}

void sessions_name(struct load *l, int from, int to, int first, int step, int users, int resource)
{
    for (int i = from; i < to; i++) {
        struct identity *who = &l->sessions[i].who;

        who->user = first + (i - from) % users * step;
        who->resource = resource + (i - from) / users;
    }
}

void sessions_open(struct load *l, int from, int to, int at_once)
{
    int opened = from, ready = l->ready, seen = ready;
    double until = cost_clock() + WAIT_S / 2;

    while (l->ready - ready < to - from) {
        if (l->ready > seen) {
            seen = l->ready;
            until = cost_clock() + WAIT_S / 2;
        } else if (cost_clock() > until) {
            die("no login has succeeded for a minute");
        }
        while (opened < to && opened - from - (l->ready - ready) < at_once)
            session_open(l, &l->sessions[opened++]);
        load_pump(l, 1000);
    }
}

void sessions_login(struct load *l, int from, int to, int first)
{
    sessions_name(l, from, to, first, 1, to - from, 0);
    sessions_open(l, from, to, l->options.at_once);
}

void send_all(struct load *l, int from, int to, const char *xml)
{
    for (int i = from; i < to; i++) {
        session_write(&l->sessions[i], xml, strlen(xml));
        session_flush(&l->sessions[i]);
    }
    settle(l);
}

void close_all(struct load *l, int from, int to)
{
    for (int i = from; i < to; i++) {
        if (!l->options.raw && l->sessions[i].stage == STAGE_READY) {
            session_write(&l->sessions[i], "</stream:stream>", 16);
            session_flush(&l->sessions[i]);
        }
        session_close(&l->sessions[i]);
    }
}

void print_cost(const char *name, uint64_t ns, uint64_t units, double seconds)
{
    if (units == 0)
        die("nothing was delivered");
    printf("{\"%s\": %.3f, \"units\": %llu, \"per_second\": %.0f}\n", name,
           (double)ns / 1000.0 / (double)units, (unsigned long long)units, (double)units / seconds);
}

void measure_flow(struct load *l, const char *name)
{
    uint64_t ns = cost_cpu_ns(&l->options), count = delivered(l);
    double start = cost_clock(), end;

    if (!l->options.drain) { /* from when it flows evenly */
        while (cost_clock() - start < 0.5)
            load_pump(l, 100);
        count = delivered(l);
        ns = cost_cpu_ns(&l->options);
        start = cost_clock();
    }
    while (cost_clock() - start < l->options.seconds)
        load_pump(l, 100);
    end = cost_clock();
    l->stopped = l->options.drain;
    ns = (l->stopped ? settle(l) : cost_cpu_ns(&l->options)) - ns;
    print_cost(name, ns, delivered(l) - count, end - start);
}

uint64_t delivered(const struct load *l)
{
    uint64_t total = 0;

    for (int i = 0; i < l->session_count; i++)
        total += l->options.raw ? l->sessions[i].received / RAW_MESSAGE : l->sessions[i].received;
    return total;
}

void count_set(struct session *s, const char *xml, size_t len)
{
    static const char mark[] = "bench-set";

    if (len > 3 && memcmp(xml, "<iq", 3) == 0 && memmem(xml, len, mark, sizeof(mark) - 1))
        s->received++;
}

void count_message(struct session *s, const char *xml, size_t len)
{
    if (len > 8 && memcmp(xml, "<message", 8) == 0)
        s->received++;
}
