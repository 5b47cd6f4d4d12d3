/* The s2s component between a stranger and a hostile server, over the simulated network. Each line
 * of the input is one thing that happens:
 *
 * i BYTES  from a stranger, on the stream that he made     o BYTES  from the server that s2s called
 * s        home sends to their.test, S to also.test        k K      the stranger / the server hangs
 * up t T      a second, two minutes pass                      x        home goes and comes back
 *
 * {id} in BYTES is the id that s2s gave the stranger's stream. Whatever comes, nothing breaks, and
 * no stanza reaches home in the name of a domain that is not the attacker's own (reliability.md B
 * 47).
 */
#include "fuzz_net.h"
#include "xml/builder.h"

struct fuzz {
    struct env env;
    struct component *router, *s2s;
    struct link *home;
    struct net_listener *listener;
    struct side in, out;
};

static const struct net_address s2s_at = {.ip = "10.0.0.1", .port = 5269};

/* --- the attacker --- */

static void on_accept(void *arg, struct conn *conn)
{
    struct fuzz *f = arg;

    hang_up(&f->out);
    f->out.conn = conn;
    conn_start(conn, &side_events, &f->out, 0);
}

/* The stranger may connect; the server was called. */
static void speak(struct fuzz *f, struct side *s, struct str bytes)
{
    struct buffer out;
    const char *at;

    buffer_init(&out, 1u << 20);
    while ((at = memmem(bytes.data, bytes.len, "{id}", 4)) != NULL) {
        buffer_add(&out, bytes.data, (size_t)(at - bytes.data));
        buffer_add_str(&out, last_id(&f->in));
        bytes = (struct str){at + 4, bytes.len - (size_t)(at - bytes.data) - 4};
    }
    buffer_add_str(&out, bytes);
    if (s->conn || s == &f->in)
        say(&f->env, s, &s2s_at, buffer_str(&out));
    buffer_finish(&out);
}

/* --- home --- */

static bool attackers(struct str domain)
{
    return str_is(domain, "their.test") || str_is(domain, "also.test");
}

static void on_packet(void *owner, struct packet *p)
{
    (void)owner;
    if (p->kind == PACKET_STANZA && !p->error && p->stanza && p->from &&
        !str_is(stanza_attr(p->stanza, STANZA_ROOT, STR("type")), "error") &&
        !attackers(jid_domain(p->from)))
        abort(); /* believed without proof */
    packet_destroy(p);
}

static const struct link_events home_events = {
    .packet = on_packet, .up = home_state, .down = home_down, .writable = home_state};

static void settle(struct fuzz *f)
{
    loop_sim_advance(f->env.loop, 50);
}

static void send_out(struct fuzz *f, const char *to)
{
    struct packet *p = packet_create(PACKET_STANZA, str_of(to), STR("home.test"));
    struct builder *b = builder_create(STR("message"), STR("jabber:client"));

    builder_leaf(b, STR("body"), STR_NULL, STR("hello"));
    p->stanza = builder_finish(b);
    p->from = jid_parse(STR("romeo@home.test/orchard"));
    p->to = jid_from_parts(STR("juliet"), str_of(to), STR_NULL);
    link_send(f->home, p);
}

/* --- the world --- */

static void open_world(struct fuzz *f)
{
    static const char *const sets[] = {
        "server.domains=home.test",
        "s2s.tls=off",
        "s2s.require_certificate=false",
        "s2s.address=10.0.0.1",
        "s2s.queue_time=20",
        "s2s.max_domains=50",
        "s2s.hosts=their.test=10.0.0.9:5269,also.test=10.0.0.9:5269",
        "router.port=0",
    };
    const struct net_address at = {.ip = "10.0.0.9", .port = 5269};

    env_open(&f->env, sets, sizeof(sets) / sizeof(sets[0]));
    buffer_init(&f->in.heard, HEARD_MAX + 65536);
    buffer_init(&f->out.heard, HEARD_MAX + 65536);
    f->router = component_create(&router_component, &f->env, NULL);
    if (component_start(f->router) != ERR_OK)
        abort();
    f->s2s = component_create(&s2s_component, &f->env, "s2s");
    component_attach_local(f->s2s, f->router);
    if (component_start(f->s2s) != ERR_OK ||
        net_listen(f->env.net, &at, on_accept, f, &f->listener) != ERR_OK)
        abort();
    net_sim_set_client(f->env.net, "10.0.0.9");
    f->home = home_comes(&f->env, f->router, &home_events);
}

static void close_world(struct fuzz *f)
{
    hang_up(&f->in);
    hang_up(&f->out);
    link_close(f->home);
    net_listener_close(f->listener);
    component_destroy(f->s2s);
    component_destroy(f->router);
    env_close(&f->env);
    buffer_finish(&f->in.heard);
    buffer_finish(&f->out.heard);
}

static void run_line(struct fuzz *f, struct str line)
{
    struct str rest = {line.data + 1, line.len - 1};

    switch (line.data[0]) {
    case 'i':
        speak(f, &f->in, rest);
        break;
    case 'o':
        speak(f, &f->out, rest);
        break;
    case 's':
        send_out(f, "their.test");
        break;
    case 'S':
        send_out(f, "also.test");
        break;
    case 'k':
        hang_up(&f->in);
        break;
    case 'K':
        hang_up(&f->out);
        break;
    case 't':
        loop_sim_advance(f->env.loop, 1000);
        break;
    case 'T':
        loop_sim_advance(f->env.loop, 120000);
        break;
    case 'x':
        link_close(f->home);
        settle(f);
        f->home = home_comes(&f->env, f->router, &home_events);
        break;
    default:
        break;
    }
    settle(f);
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
