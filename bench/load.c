/* load COMMAND [options]: drives a server and prints what that cost it, as one JSON object on
 * stdout.
 *
 *   register   makes the accounts PREFIX0 .. PREFIX(count-1) in-band
 *   login      count logins, at most 16 at once: microseconds of server CPU each
 *   message    count pairs, `window` chat messages in flight on each: microseconds a delivered
 *              message; with --far-port one of each pair is on another server, --far-domain; with
 *              --privacy N everybody has an active privacy list of N items, none of which matches
 *   carbons    the same, and one of each pair has three more devices that get copies (XEP-0280)
 *   ping       count clients ping the server, one in flight each
 *   fanout     one user with count contacts sends `rounds` presences: microseconds a delivered one
 *   roster     one user with count contacts in the roster logs in `rounds` times and gets it:
 *              microseconds each time
 *   offline    `each` messages to each of count offline users, then they come back: microseconds a
 *              message, both ways
 *   idle       count sessions that do nothing: bytes each
 *
 * Options: --host --port --domain --password --prefix --mechanism --tls --raw --count --window
 * --each --rounds --privacy --seconds --pids 1,2,3 (the server's processes).
 */
#include "load.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define BODY                                                                                       \
    "But soft, what light through yonder window breaks? It is the east, and Juliet is the sun. "   \
    "Arise, fair sun."
enum { DEVICES = 3, LOGINS_AT_ONCE = 16, RAW_MESSAGE = 250, RAW_PRESENCE = 150, WAIT_S = 120 };

static void die(const char *what)
{
    fprintf(stderr, "load: %s\n", what);
    exit(1);
}

/* The waiting of every command: until the condition holds; a server that stands still ends the run.
 */
#define PUMP_UNTIL(l, condition)                                                                   \
    do {                                                                                           \
        double until_ = cost_clock() + WAIT_S;                                                     \
        while (!(condition)) {                                                                     \
            load_pump(l, 100);                                                                     \
            if (cost_clock() > until_)                                                             \
                die("no progress for two minutes waiting for " #condition);                        \
        }                                                                                          \
    } while (0)

/* Waits until the server has been quiet for a while: it has done what it was asked. Returns its CPU
 * then. */
static uint64_t settle(struct load *l)
{
    uint64_t before = cost_cpu_ns(&l->options), now;
    double until = cost_clock() + WAIT_S;

    for (int quiet = 0; quiet < 4 && cost_clock() < until; before = now) {
        double turn = cost_clock() + 0.1;

        while (cost_clock() < turn)
            load_pump(l, 20);
        now = cost_cpu_ns(&l->options);
        quiet = now - before < 1000000 ? quiet + 1 : 0;
    }
    return before;
}

static void sessions_make(struct load *l, int count)
{
    l->sessions = calloc((size_t)count, sizeof(*l->sessions));
    l->keys = calloc((size_t)count + 1, sizeof(*l->keys));
    if (!l->sessions || !l->keys)
        die("out of memory");
    l->session_count = count;
}

/* Opens sessions [from, to) for users first_user, first_user + step ..., at most 16 logins at once.
 */
static void devices_login(struct load *l, int from, int to, int first_user, int step, int resource,
                          bool registering)
{
    int opened = from, ready = l->ready;

    while (l->ready - ready < to - from) {
        while (opened < to && opened - from - (l->ready - ready) < LOGINS_AT_ONCE) {
            session_open(l, &l->sessions[opened], first_user + (opened - from) * step, resource);
            l->sessions[opened].registering = registering;
            opened++;
        }
        load_pump(l, 1000);
    }
}

static void sessions_login(struct load *l, int from, int to, int first_user, bool registering)
{
    devices_login(l, from, to, first_user, 1, 0, registering);
}

static void send_all(struct load *l, int from, int to, const char *xml)
{
    for (int i = from; i < to; i++) {
        session_write(&l->sessions[i], xml, strlen(xml));
        session_flush(&l->sessions[i]);
    }
    settle(l);
}

static void close_all(struct load *l, int from, int to)
{
    for (int i = from; i < to; i++) {
        if (!l->options.raw && l->sessions[i].stage == STAGE_READY) {
            session_write(&l->sessions[i], "</stream:stream>", 16);
            session_flush(&l->sessions[i]);
        }
        session_close(&l->sessions[i]);
    }
}

static void print_cost(const char *name, uint64_t ns, uint64_t units, double seconds)
{
    if (units == 0)
        die("nothing was delivered");
    printf("{\"%s\": %.3f, \"units\": %llu, \"per_second\": %.0f}\n", name,
           (double)ns / 1000.0 / (double)units, (unsigned long long)units, (double)units / seconds);
}

/* ---- register, login, idle ---- */

static void command_register(struct load *l)
{
    int count = l->options.count, at_once = 200;

    sessions_make(l, count);
    for (int i = 0; i < count; i += at_once) {
        int to = i + at_once < count ? i + at_once : count;

        sessions_login(l, i, to, i, true);
        close_all(l, i, to);
    }
    printf("{\"registered\": %d}\n", count);
}

static void command_login(struct load *l)
{
    int count = l->options.count;
    uint64_t before, after;
    double start, end;

    sessions_make(l, count);
    sessions_login(l, 0, 1, 0, false); /* what the server loads once */
    close_all(l, 0, 1);
    before = settle(l);
    start = cost_clock();
    sessions_login(l, 0, count, 0, false);
    end = cost_clock();
    after = settle(l);
    print_cost("us_per_login", after - before, (uint64_t)count, end - start);
}

static void command_idle(struct load *l)
{
    int count = l->options.count, warm = count / 10;
    uint64_t before, after;

    sessions_make(l, count);
    sessions_login(l, 0, warm, 0, false);
    send_all(l, 0, warm, "<presence/>");
    before = cost_memory(&l->options);
    sessions_login(l, warm, count, warm, false);
    send_all(l, warm, count, "<presence/>");
    after = cost_memory(&l->options);
    printf("{\"bytes_per_session\": %.0f, \"sessions\": %d, \"total_bytes\": %llu}\n",
           ((double)after - (double)before) / (count - warm), count, (unsigned long long)after);
}

/* ---- message ---- */

static void send_message(struct session *s)
{
    static const char raw[RAW_MESSAGE];

    s->sent++;
    if (s->load->options.raw)
        session_write(s, raw, RAW_MESSAGE);
    else
        session_printf(
            s, "<message to='%s%d@%s/r0' type='chat' id='m%llu'><body>" BODY "</body></message>",
            s->load->options.prefix, s->peer->user, session_domain(s->peer),
            (unsigned long long)s->sent);
}

static void answer_message(struct session *s, const char *xml, size_t len)
{
    if (!xml) { /* raw: bytes are counted, messages follow */
        while (s->sent < s->received / RAW_MESSAGE)
            send_message(s);
    } else if (len > 8 && memcmp(xml, "<message", 8) == 0) {
        s->received++;
        send_message(s);
    }
}

/* XEP-0016; an id of ours is in every answer. */
static void count_set(struct session *s, const char *xml, size_t len)
{
    static const char mark[] = "bench-set";

    if (len > 3 && memcmp(xml, "<iq", 3) == 0 && memmem(xml, len, mark, sizeof(mark) - 1))
        s->received++;
}

static void set_privacy(struct load *l)
{
    for (int i = 0; i < l->session_count; i++) {
        struct session *s = &l->sessions[i];

        s->on_stanza = count_set;
        s->received = 0;
        session_printf(s, "<iq type='set' id='bench-set1'><query xmlns='jabber:iq:privacy'>"
                          "<list name='long'>");
        for (int n = 1; n <= l->options.privacy; n++)
            session_printf(s,
                           "<item type='jid' value='nobody%d@nowhere.test' action='deny' "
                           "order='%d'/>",
                           n, n);
        session_printf(s, "</list></query></iq><iq type='set' id='bench-set2'>"
                          "<query xmlns='jabber:iq:privacy'><active name='long'/></query></iq>");
        session_flush(s);
        PUMP_UNTIL(l, s->received >= 2);
    }
}

static uint64_t delivered(const struct load *l)
{
    uint64_t total = 0;

    for (int i = 0; i < l->session_count; i++)
        total += l->options.raw ? l->sessions[i].received / RAW_MESSAGE : l->sessions[i].received;
    return total;
}

/* The pairs are the first sessions. */
static void exchange(struct load *l)
{
    int pairs = l->options.count;
    uint64_t ns, count;
    double start, end;

    for (int i = 0; i < pairs * 2; i++) {
        l->sessions[i].peer = &l->sessions[i ^ 1];
        l->sessions[i].on_stanza = answer_message;
        l->sessions[i].received = 0;
    }
    for (int i = 0; i < pairs * 2; i += 2) {
        for (int n = 0; n < l->options.window; n++)
            send_message(&l->sessions[i]);
        if (l->options.raw)
            l->sessions[i].sent = 0; /* the first ones answer nothing */
        session_flush(&l->sessions[i]);
    }
    for (start = cost_clock(); cost_clock() - start < 0.5;)
        load_pump(l, 100);
    count = delivered(l);
    ns = cost_cpu_ns(&l->options);
    for (start = cost_clock(); cost_clock() - start < l->options.seconds;)
        load_pump(l, 100);
    end = cost_clock();
    print_cost("us_per_message", cost_cpu_ns(&l->options) - ns, delivered(l) - count, end - start);
}

static void command_message(struct load *l)
{
    int users = l->options.count * 2;

    sessions_make(l, users);
    sessions_login(l, 0, users, 0, false);
    if (!l->options.raw)
        send_all(l, 0, users, "<presence/>");
    if (l->options.privacy)
        set_privacy(l);
    exchange(l);
}

static void ignore(struct session *s, const char *xml, size_t len)
{
}

/* Whichever of the pair writes: the three see it, as received or as sent. */
static void command_carbons(struct load *l)
{
    int pairs = l->options.count, users = pairs * 2;

    sessions_make(l, users + pairs * DEVICES);
    sessions_login(l, 0, users, 0, false);
    for (int i = 0; i < DEVICES; i++)
        devices_login(l, users + i * pairs, users + (i + 1) * pairs, 1, 2, i + 1, false);
    send_all(l, 0, users, "<presence/>");
    send_all(l, users, l->session_count,
             "<iq type='set' id='c'><enable xmlns='urn:xmpp:carbons:2'/></iq><presence/>");
    for (int i = users; i < l->session_count; i++) {
        l->sessions[i].on_stanza = ignore;
        l->sessions[i].received = 0;
    }
    exchange(l);
}

/* ---- ping ---- */

static void send_ping(struct session *s)
{
    s->sent++;
    session_printf(s, "<iq type='get' id='p%llu' to='%s'><ping xmlns='urn:xmpp:ping'/></iq>",
                   (unsigned long long)s->sent, s->load->options.domain);
}

static void answer_pong(struct session *s, const char *xml, size_t len)
{
    if (len > 3 && memcmp(xml, "<iq", 3) == 0) {
        s->received++;
        send_ping(s);
    }
}

static void command_ping(struct load *l)
{
    uint64_t ns, count;
    double start, end;

    sessions_make(l, l->options.count);
    sessions_login(l, 0, l->options.count, 0, false);
    send_all(l, 0, l->options.count, "<presence/>");
    for (int i = 0; i < l->options.count; i++) {
        l->sessions[i].received = 0;
        l->sessions[i].on_stanza = answer_pong;
        send_ping(&l->sessions[i]);
        session_flush(&l->sessions[i]);
    }
    for (start = cost_clock(); cost_clock() - start < 0.5;)
        load_pump(l, 100);
    count = delivered(l);
    ns = cost_cpu_ns(&l->options);
    for (start = cost_clock(); cost_clock() - start < l->options.seconds;)
        load_pump(l, 100);
    end = cost_clock();
    print_cost("us_per_ping", cost_cpu_ns(&l->options) - ns, delivered(l) - count, end - start);
}

/* ---- presence to many ---- */

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

static void command_fanout(struct load *l)
{
    int contacts = l->options.count, count = contacts + 1;
    uint64_t ns;
    double start;

    sessions_make(l, count);
    sessions_login(l, 0, 1, 0, false); /* a relay sends on what the first one writes */
    sessions_login(l, 1, count, 1, false);
    if (!l->options.raw) {
        send_all(l, 0, count,
                 "<iq type='get' id='ro'><query xmlns='jabber:iq:roster'/></iq><presence/>");
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

static void command_roster(struct load *l)
{
    int rounds = l->options.rounds;
    uint64_t ns;
    double start;

    sessions_make(l, rounds + 1);
    sessions_login(l, 0, 1, 0, false);
    fill_roster(l, &l->sessions[0], l->options.count);
    close_all(l, 0, 1);
    ns = settle(l);
    start = cost_clock();
    for (int i = 1; i <= rounds; i++) {
        struct session *s = &l->sessions[i];

        sessions_login(l, i, i + 1, 0, false);
        s->on_stanza = count_set;
        s->received = 0;
        session_printf(s, "<iq type='get' id='bench-set'><query xmlns='jabber:iq:roster'/></iq>");
        session_flush(s);
        PUMP_UNTIL(l, s->received >= 1);
        close_all(l, i, i + 1);
    }
    print_cost("us_per_roster", settle(l) - ns, (uint64_t)rounds, cost_clock() - start);
}

/* ---- offline ---- */

static void count_message(struct session *s, const char *xml, size_t len)
{
    if (len > 8 && memcmp(xml, "<message", 8) == 0)
        s->received++;
}

/* Ten senders, each writes to its share of the absent users (who come behind them in the
 * numbering). */
static void send_offline(struct load *l, int senders, int users)
{
    const struct options *o = &l->options;

    for (int n = 0; n < o->each; n++) {
        for (int u = 0; u < users; u++)
            session_printf(&l->sessions[u % senders],
                           "<message to='%s%d@%s' type='chat' id='o%d'><body>" BODY
                           "</body></message>",
                           o->prefix, senders + u, o->domain, n);
        for (int i = 0; i < senders; i++)
            session_flush(&l->sessions[i]);
        load_pump(l, 0);
    }
}

static void command_offline(struct load *l)
{
    int senders = 10, users = l->options.count;
    uint64_t messages = (uint64_t)users * (uint64_t)l->options.each, before, stored, bound, back;
    double start = cost_clock(), end;

    sessions_make(l, senders + users);
    sessions_login(l, 0, senders, 0, false);
    send_all(l, 0, senders, "<presence/>");
    before = settle(l);
    send_offline(l, senders, users);
    stored = settle(l);
    end = cost_clock();
    sessions_login(l, senders, senders + users, senders, false);
    bound = settle(l);
    for (int i = senders; i < senders + users; i++) {
        l->sessions[i].received = 0;
        l->sessions[i].on_stanza = count_message;
        session_write(&l->sessions[i], "<presence/>", 11);
        session_flush(&l->sessions[i]);
    }
    for (int i = 0; i < senders; i++)
        l->sessions[i].received = 0;
    PUMP_UNTIL(l, delivered(l) >= messages);
    back = settle(l);
    printf("{\"us_per_stored\": %.3f, \"us_per_delivered\": %.3f, \"units\": %llu, \"seconds\": "
           "%.2f}\n",
           (double)(stored - before) / 1000.0 / (double)messages,
           (double)(back - bound) / 1000.0 / (double)messages, (unsigned long long)messages,
           end - start);
}

/* ---- options ---- */

static const struct {
    const char *name;
    void (*run)(struct load *l);
} commands[] = {
    {"register", command_register}, {"login", command_login},   {"message", command_message},
    {"carbons", command_carbons},   {"ping", command_ping},     {"fanout", command_fanout},
    {"offline", command_offline},   {"roster", command_roster}, {"idle", command_idle},
};

static void parse_pids(struct options *o, char *list)
{
    for (char *pid = strtok(list, ","); pid && o->pid_count < LOAD_PIDS; pid = strtok(NULL, ","))
        o->pids[o->pid_count++] = (pid_t)atoi(pid);
}

static void set_option(struct options *o, const char *name, char *value)
{
    if (strcmp(name, "host") == 0)
        o->host = value;
    else if (strcmp(name, "port") == 0)
        o->port = (uint16_t)atoi(value);
    else if (strcmp(name, "domain") == 0)
        o->domain = value;
    else if (strcmp(name, "far-port") == 0)
        o->far_port = (uint16_t)atoi(value);
    else if (strcmp(name, "far-domain") == 0)
        o->far_domain = value;
    else if (strcmp(name, "password") == 0)
        o->password = value;
    else if (strcmp(name, "prefix") == 0)
        o->prefix = value;
    else if (strcmp(name, "mechanism") == 0)
        o->mechanism = value;
    else if (strcmp(name, "count") == 0)
        o->count = atoi(value);
    else if (strcmp(name, "window") == 0)
        o->window = atoi(value);
    else if (strcmp(name, "each") == 0)
        o->each = atoi(value);
    else if (strcmp(name, "privacy") == 0)
        o->privacy = atoi(value);
    else if (strcmp(name, "rounds") == 0)
        o->rounds = atoi(value);
    else if (strcmp(name, "seconds") == 0)
        o->seconds = atof(value);
    else if (strcmp(name, "pids") == 0)
        parse_pids(o, value);
}

static void parse_options(struct options *o, int argc, char **argv)
{
    static const struct option names[] = {
        {"host", 1, NULL, 0},     {"port", 1, NULL, 0},       {"domain", 1, NULL, 0},
        {"far-port", 1, NULL, 0}, {"far-domain", 1, NULL, 0}, {"password", 1, NULL, 0},
        {"prefix", 1, NULL, 0},   {"count", 1, NULL, 0},      {"mechanism", 1, NULL, 0},
        {"window", 1, NULL, 0},   {"each", 1, NULL, 0},       {"rounds", 1, NULL, 0},
        {"seconds", 1, NULL, 0},  {"pids", 1, NULL, 0},       {"privacy", 1, NULL, 0},
        {"tls", 0, NULL, 't'},    {"raw", 0, NULL, 'r'},      {NULL, 0, NULL, 0}};
    int index, c;

    *o = (struct options){.host = "127.0.0.1",
                          .domain = "bench.test",
                          .password = "secret",
                          .prefix = "u",
                          .mechanism = "SCRAM-SHA-1",
                          .port = 5222,
                          .count = 50,
                          .window = 1,
                          .each = 100,
                          .rounds = 200,
                          .seconds = 3};
    while ((c = getopt_long(argc, argv, "", names, &index)) != -1) {
        if (c == 't')
            o->tls = true;
        else if (c == 'r')
            o->raw = true;
        else if (c == 0)
            set_option(o, names[index].name, optarg);
        else
            exit(2);
    }
}

int main(int argc, char **argv)
{
    struct load l = {0};

    if (argc < 2)
        die("usage: load register|login|message|carbons|ping|fanout|roster|offline|idle [--option "
            "value "
            "...]");
    signal(SIGPIPE, SIG_IGN);
    parse_options(&l.options, argc - 1, argv + 1);
    l.epoll = epoll_create1(EPOLL_CLOEXEC);
    l.tls = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_mode(l.tls, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (strcmp(argv[1], commands[i].name) == 0) {
            commands[i].run(&l);
            fflush(stdout);
            _exit(0); /* thousands of sockets close faster by themselves */
        }
    }
    die("no such command");
}
