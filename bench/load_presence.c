/* fanout and roster: what a long list of contacts costs. */
#include "load.h"

#include <string.h>

enum { RAW_PRESENCE = 150 };

static void count_presence(struct session *s, const char *xml, size_t len)
{
    static const char mark[] = "bench-round";

    if (len > 9 && memcmp(xml, "<presence", 9) == 0 && memmem(xml, len, mark, sizeof(mark) - 1))
        s->received++;
}

/* Session 0 and each of the others see each other's presence afterwards. */
static void befriend(struct load *l, int count)
{
    const struct options *o = &l->options;

    for (int i = 1; i < count; i++) {
        session_printf(&l->sessions[i], "<presence type='subscribe' to='%s0@%s'/>", o->prefix,
                       o->domain);
        session_flush(&l->sessions[i]);
    }
    settle(l);
    for (int i = 1; i < count; i++)
        session_printf(&l->sessions[0], "<presence type='subscribed' to='%s%d@%s'/>", o->prefix, i,
                       o->domain);
    session_flush(&l->sessions[0]);
    settle(l);
}

/* On a relay, `received` counts bytes; nothing is answered. */
static void count_bytes(struct session *s, const char *xml, size_t len)
{
    (void)s, (void)xml, (void)len;
}

static uint64_t presences(const struct load *l)
{
    uint64_t total = 0;

    for (int i = 1; i < l->session_count; i++)
        total += l->options.raw ? l->sessions[i].received / RAW_PRESENCE : l->sessions[i].received;
    return total;
}

static void send_presence(struct session *s, int round)
{
    static const char raw[RAW_PRESENCE];

    if (s->load->options.raw)
        session_write(s, raw, RAW_PRESENCE);
    else
        session_printf(s, "<presence><status>bench-round %d</status></presence>", round);
    session_flush(s);
}

void command_fanout(struct load *l)
{
    int contacts = l->options.count, count = contacts + 1;
    uint64_t ns;
    double start;

    sessions_make(l, count);
    sessions_login(l, 0, 1, 0); /* a relay sends on what the first one writes */
    sessions_login(l, 1, count, 1);
    if (!l->options.raw) {
        send_all(l, 0, count,
                 "<iq type='get' id='ro'><query xmlns='jabber:iq:roster'/></iq><presence/>");
        if (!l->options.filled)
            befriend(l, count);
    }
    for (int i = 0; i < count; i++) {
        l->sessions[i].received = 0;
        l->sessions[i].on_stanza = l->options.raw ? count_bytes : count_presence;
    }
    ns = settle(l);
    start = cost_clock();
    for (int round = 1; round <= l->options.rounds; round++) {
        uint64_t due = (uint64_t)round * (uint64_t)contacts;

        send_presence(&l->sessions[0], round);
        PUMP_UNTIL(l, presences(l) >= due);
    }
    print_cost("us_per_presence", cost_cpu_ns(&l->options) - ns,
               (uint64_t)contacts * (uint64_t)l->options.rounds, cost_clock() - start);
}

/* ---- a long roster ---- */

static void fill_roster(struct load *l, struct session *s, int count)
{
    s->on_stanza = count_set;
    s->received = 0;
    for (int i = 0; i < count; i++) {
        session_printf(s,
                       "<iq type='set' id='bench-set%d'><query xmlns='jabber:iq:roster'>"
                       "<item jid='contact%d@elsewhere.test' name='Contact number %d'>"
                       "<group>Friends</group></item></query></iq>",
                       i, i, i);
        session_flush(s);
        PUMP_UNTIL(l, s->received + 20 > (uint64_t)i);
    }
    PUMP_UNTIL(l, s->received >= (uint64_t)count);
}

void command_roster(struct load *l)
{
    int rounds = l->options.rounds;
    uint64_t ns;
    double start;

    sessions_make(l, rounds + 1);
    sessions_login(l, 0, 1, 0);
    if (!l->options.filled)
        fill_roster(l, &l->sessions[0], l->options.count);
    close_all(l, 0, 1);
    ns = settle(l);
    start = cost_clock();
    for (int i = 1; i <= rounds; i++) {
        struct session *s = &l->sessions[i];

        sessions_login(l, i, i + 1, 0);
        s->on_stanza = count_set;
        s->received = 0;
        session_printf(s, "<iq type='get' id='bench-set'><query xmlns='jabber:iq:roster'/></iq>");
        session_flush(s);
        PUMP_UNTIL(l, s->received >= 1);
        close_all(l, i, i + 1);
    }
    print_cost("us_per_roster", settle(l) - ns, (uint64_t)rounds, cost_clock() - start);
}
