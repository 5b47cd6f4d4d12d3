/* register, login, idle and storm: sessions that say nothing. */
#include "load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STORM_AT_ONCE = 100 }; /* what a listener's backlog takes everywhere */

void command_register(struct load *l)
{
    int count = l->options.count, at_once = 200;

    sessions_make(l, count);
    for (int i = 0; i < count; i += at_once) {
        int to = i + at_once < count ? i + at_once : count;

        for (int n = i; n < to; n++)
            l->sessions[n].who.registering = true;
        sessions_login(l, i, to, i);
        close_all(l, i, to);
    }
    printf("{\"registered\": %d}\n", count);
}

void command_login(struct load *l)
{
    int count = l->options.count;
    uint64_t before, after;
    double start, end;

    sessions_make(l, count);
    sessions_login(l, 0, 1, 0); /* what the server loads once */
    close_all(l, 0, 1);
    before = settle(l);
    start = cost_clock();
    sessions_login(l, 0, count, 0);
    end = cost_clock();
    after = settle(l);
    print_cost("us_per_login", after - before, (uint64_t)count, end - start);
}

void command_idle(struct load *l)
{
    int count = l->options.count, warm = count / 10;
    uint64_t before, after;

    sessions_make(l, count);
    sessions_login(l, 0, warm, 0);
    send_all(l, 0, warm, "<presence/>");
    before = cost_memory(&l->options);
    sessions_login(l, warm, count, warm);
    send_all(l, warm, count, "<presence/>");
    after = cost_memory(&l->options);
    printf("{\"bytes_per_session\": %.0f, \"sessions\": %d, \"total_bytes\": %llu}\n",
           ((double)after - (double)before) / (count - warm), count, (unsigned long long)after);
}

/* All have a session that can be resumed (XEP-0198); then all connections break, and they come
 * back. */
void command_storm(struct load *l)
{
    int count = l->options.count;
    uint64_t before, after;
    double start, seconds;

    sessions_make(l, count);
    sessions_name(l, 0, count, 0, 1, l->options.users, 0);
    for (int i = 0; i < count; i++)
        l->sessions[i].who.managed = true;
    sessions_open(l, 0, count, l->options.at_once);
    send_all(l, 0, count, "<presence/>");
    before = settle(l);
    for (int i = 0; i < count; i++)
        session_close(&l->sessions[i]);
    settle(l);
    start = cost_clock();
    sessions_open(l, 0, count, STORM_AT_ONCE);
    seconds = cost_clock() - start;
    after = settle(l);
    printf("{\"us_per_resumed\": %.3f, \"seconds\": %.2f}\n",
           (double)(after - before) / 1000.0 / count, seconds);
}
