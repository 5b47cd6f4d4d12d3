/* The router's stream for external components (XEP-0114), over the simulated network. Each line of
 * the input is one thing that happens:
 *
 * a b BYTES  from one of two programs            A B   the right handshake for the stream of a or b
 * r XML      a stanza for gw.test from inside    k K   a or b hangs up
 * t T        a second, two minutes pass
 *
 * Nothing breaks, and nothing comes in in the name of a domain that was not attached.
 */
#include "fuzz_net.h"
#include "xmpp/handshake.h"

#define SECRET "a secret"

struct fuzz {
    struct env env;
    struct component *router;
    struct link *home;
    struct side programs[2];
};

static const struct net_address router_at = {.ip = "127.0.0.1", .port = 5347};

/* --- the programs --- */

static void shake_hands(struct fuzz *f, struct side *s)
{
    struct str id = last_id(s);
    char proof[HANDSHAKE_LEN], text[128];

    if (!id.data || !handshake_make(id, STR(SECRET), proof))
        return;
    (void)snprintf(text, sizeof(text), "<handshake>%.*s</handshake>", HANDSHAKE_LEN, proof);
    say(&f->env, s, &router_at, str_of(text));
}

/* --- inside --- */

static void on_packet(void *owner, struct packet *p)
{
    (void)owner;
    if (p->kind == PACKET_STANZA && !p->error && p->from && !str_is(jid_domain(p->from), "gw.test"))
        abort(); /* in a name that is not its own */
    packet_destroy(p);
}

static const struct link_events home_events = {
    .packet = on_packet, .up = home_state, .down = home_down, .writable = home_state};

static void send_in(struct fuzz *f, struct str xml)
{
    static const struct parser_limits limits = {.stanza_bytes = 1u << 18,
                                                .depth = 64,
                                                .attributes = 64,
                                                .namespaces = 32,
                                                .children = 4096};
    enum parser_status status;
    struct stanza *s = parser_document(f->env.parsers, xml, &limits, &status);
    struct packet *p;

    if (!s)
        return;
    p = packet_create(PACKET_STANZA, STR("gw.test"), STR("home.test"));
    p->stanza = s;
    p->from = jid_parse(STR("romeo@home.test/orchard"));
    p->to = jid_parse(STR("room@gw.test"));
    link_send(f->home, p);
}

/* --- the world --- */

static void open_world(struct fuzz *f)
{
    static const char *const sets[] = {
        "server.domains=home.test",
        "router.address=127.0.0.1",
        "router.components=gw.test:" SECRET,
    };
    env_open(&f->env, sets, sizeof(sets) / sizeof(sets[0]));
    for (int i = 0; i < 2; i++)
        buffer_init(&f->programs[i].heard, HEARD_MAX + 65536);
    f->router = component_create(&router_component, &f->env, NULL);
    if (component_start(f->router) != ERR_OK)
        abort();
    f->home = home_comes(&f->env, f->router, &home_events);
}

static void close_world(struct fuzz *f)
{
    for (int i = 0; i < 2; i++)
        hang_up(&f->programs[i]);
    link_close(f->home);
    loop_sim_advance(f->env.loop, 50);
    component_destroy(f->router);
    env_close(&f->env);
    for (int i = 0; i < 2; i++)
        buffer_finish(&f->programs[i].heard);
}

static void run_line(struct fuzz *f, struct str line)
{
    struct str rest = {line.data + 1, line.len - 1};
    char what = line.data[0];

    if (what == 'a' || what == 'b')
        say(&f->env, &f->programs[what - 'a'], &router_at, rest);
    else if (what == 'A' || what == 'B')
        shake_hands(f, &f->programs[what - 'A']);
    else if (what == 'k' || what == 'K')
        hang_up(&f->programs[what == 'K']);
    else if (what == 'r')
        send_in(f, rest);
    loop_sim_advance(f->env.loop, what == 'T' ? 120000 : what == 't' ? 1000 : 50);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz f = {.home = NULL};
    struct str rest = {(const char *)data, size}, line;

    open_world(&f);
    for (int i = 0; i < LINES_MAX && str_split(&rest, '\n', &line); i++)
        if (line.len)
            run_line(&f, line);
    close_world(&f);
    return 0;
}
