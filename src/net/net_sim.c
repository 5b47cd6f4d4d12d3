/* The simulated network: connections are pairs in one struct net. Bytes arrive in order but cut and
 * joined at random, some milliseconds later; all of it repeatable from the seed. A pair holds at
 * most WINDOW bytes under way, so that back-pressure works as over TCP. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/mem.h"
#include "base/random.h"
#include "net/net_impl.h"

enum {
    WINDOW = 65536,
    DELAY_MS = 5, /* at most, per delivery */
    FIRST_PORT = 40000,
    BLACKHOLES = 16
};

struct net_sim {
    struct net base;
    struct random *random;
    char client[sizeof((struct net_address *)0)->ip];
    uint16_t next_port;
    struct net_address blackholes[BLACKHOLES]; /* ip "" = unused */
    struct {
        struct net_address at;
        uint32_t most_ms;
    } slow[BLACKHOLES];
    size_t slow_count;
    bool killing;
};

struct listener_sim {
    struct net_listener base;
    bool shares;
    uint64_t accepted;
    struct net_address at;
};

struct conn_sim {
    struct conn base;
    char from[sizeof((struct net_address *)0)->ip]; /* where a client's end is */
    struct conn_sim *peer;                          /* NULL: not connected yet, or gone */
    struct net_address server;                      /* the listener's end of this pair */
    struct buffer inbox;                            /* under way to us */
    struct loop_timer arrival; /* of the next bytes, of the end, or of the connection itself */
    bool peer_shut;            /* after the inbox comes the end */
    bool reset;                /* after the inbox comes an error */
    bool killed;               /* closed by its owner's death: what it had to say is lost */
    bool peer_waits;           /* it found the window full */
};

static struct net_sim *net_of(struct net *n)
{
    return MEM_CONTAINER(n, struct net_sim, base);
}

static struct conn_sim *conn_of(const struct conn *c)
{
    return MEM_CONTAINER(c, struct conn_sim, base);
}

static struct listener_sim *listener_of(const struct net_listener *l)
{
    return MEM_CONTAINER(l, struct listener_sim, base);
}

static bool same(const struct net_address *a, const char *ip, uint16_t port)
{
    return a->port == port && strcmp(a->ip, ip) == 0;
}

static bool is_black(struct net_sim *n, const struct net_address *at)
{
    for (int i = 0; i < BLACKHOLES; i++)
        if (n->blackholes[i].ip[0] && same(&n->blackholes[i], at->ip, at->port))
            return true;
    return false;
}

static bool serves(const struct listener_sim *l, const struct net_address *to)
{
    const char *any = strchr(to->ip, ':') ? "::" : "0.0.0.0";
    return same(&l->at, to->ip, to->port) || same(&l->at, any, to->port);
}

/* The listener that a connection to `to` reaches; a wildcard serves its whole family. Those that
 * share an address take turns. */
static struct listener_sim *find_listener(struct net_sim *n, const struct net_address *to)
{
    struct listener_sim *found = NULL;
    LIST_EACH (node, &n->base.listeners) {
        struct listener_sim *l = listener_of(LIST_ENTRY(node, struct net_listener, node));
        if (serves(l, to) && (!found || (l->shares && l->accepted < found->accepted)))
            found = l;
    }
    return found;
}

static uint32_t delay(struct net_sim *n, const struct net_address *at)
{
    uint32_t most = DELAY_MS;
    for (size_t i = 0; i < n->slow_count; i++)
        if (same(&n->slow[i].at, at->ip, at->port))
            most = n->slow[i].most_ms;
    return random_below(n->random, most + 1);
}

/* --- bytes under way --- */

static bool has_news(const struct conn_sim *s)
{
    return buffer_len(&s->inbox) || s->peer_shut || s->reset;
}

static void expect(struct conn_sim *s)
{
    struct net_sim *n = net_of(s->base.net);
    if (!loop_timer_running(&s->arrival) && conn_impl_reads(&s->base) && has_news(s))
        loop_timer_start(&s->arrival, delay(n, &s->server));
}

/* Half of the time everything that is there, else a random part, sometimes a single byte. */
static size_t some_of(struct net_sim *n, size_t len)
{
    uint32_t dice = random_below(n->random, 8);
    if (dice < 4)
        return len;
    return dice == 4 ? 1 : 1 + random_below(n->random, (uint32_t)len);
}

static void deliver(struct conn_sim *s)
{
    struct net_sim *n = net_of(s->base.net);
    size_t len = some_of(n, buffer_len(&s->inbox));
    memcpy(n->base.read_buffer, buffer_str(&s->inbox).data, len);
    buffer_consume(&s->inbox, len);
    buffer_shrink(&s->inbox);
    conn_impl_input(&s->base, n->base.read_buffer, len);
    if (s->peer && s->peer_waits && buffer_len(&s->inbox) <= WINDOW / 2) {
        s->peer_waits = false;
        conn_impl_writable(&s->peer->base);
    }
}

static void accept_now(struct conn_sim *client);

static void on_arrival(struct loop_timer *timer)
{
    struct conn_sim *s = MEM_CONTAINER(timer, struct conn_sim, arrival);
    if (is_black(net_of(s->base.net), &s->server))
        return; /* net_sim_blackhole will start it again */
    if (!s->base.connected) {
        accept_now(s);
        return;
    }
    if (!conn_impl_reads(&s->base))
        return; /* sim_interest will start it again */
    if (buffer_len(&s->inbox))
        deliver(s);
    else if (s->reset)
        conn_impl_end(&s->base, ERR_CLOSED, error_errno_text(ECONNRESET));
    else if (s->peer_shut)
        conn_impl_end(&s->base, ERR_OK, "the peer closed the connection");
    expect(s);
}

static ssize_t sim_send(struct conn *c, struct iovec *pieces, int count)
{
    struct conn_sim *s = conn_of(c), *peer = s->peer;
    ssize_t taken = 0;
    if (!peer)
        return -EPIPE;
    for (int i = 0; s->killed && i < count; i++)
        taken += (ssize_t)pieces[i].iov_len;
    if (s->killed)
        return taken;
    for (int i = 0; i < count; i++) {
        size_t room = WINDOW - buffer_len(&peer->inbox);
        size_t len = pieces[i].iov_len < room ? pieces[i].iov_len : room;
        buffer_add(&peer->inbox, pieces[i].iov_base, len);
        taken += (ssize_t)len;
        peer->peer_waits = len < pieces[i].iov_len;
        if (peer->peer_waits)
            break;
    }
    expect(peer);
    return taken ? taken : -EAGAIN;
}

static void sim_interest(struct conn *c)
{
    struct conn_sim *s = conn_of(c);
    s->killed = s->killed || (c->closing && net_of(c->net)->killing);
    if (c->connected)
        expect(s);
}

static void sim_shut(struct conn *c)
{
    struct conn_sim *peer = conn_of(c)->peer;
    if (!peer)
        return;
    peer->peer_shut = true;
    expect(peer);
}

static void sim_release(struct conn *c)
{
    struct conn_sim *s = conn_of(c);
    if (s->peer) { /* as TCP: closing with unread input resets */
        if (buffer_len(&s->inbox))
            s->peer->reset = true;
        s->peer->peer_shut = true;
        s->peer->peer = NULL;
        expect(s->peer);
    }
    loop_timer_stop(&s->arrival);
    buffer_finish(&s->inbox);
    free(s);
}

/* --- connecting --- */

static struct conn_sim *conn_make(struct net_sim *n, const struct net_address *peer,
                                  const struct net_address *server)
{
    struct conn_sim *s = MEM_NEW(struct conn_sim);
    s->server = *server;
    buffer_init(&s->inbox, WINDOW);
    loop_timer_init(&s->arrival, n->base.loop, on_arrival);
    conn_impl_init(&s->base, &n->base, peer);
    return s;
}

static void accept_now(struct conn_sim *client)
{
    struct net_sim *n = net_of(client->base.net);
    struct listener_sim *l = find_listener(n, &client->server);
    if (!l) {
        conn_impl_end(&client->base, ERR_REFUSED, error_errno_text(ECONNREFUSED));
        return;
    }
    struct net_address from = {.port = n->next_port++};
    if (n->next_port == 0)
        n->next_port = FIRST_PORT;
    snprintf(from.ip, sizeof from.ip, "%s", client->from);
    struct conn_sim *s = conn_make(n, &from, &l->at);
    client->server = l->at;
    s->peer = client;
    client->peer = s;
    s->base.connected = true;
    l->accepted++;
    l->base.fn(l->base.arg, &s->base);
    conn_impl_connected(&client->base);
}

static struct conn *sim_connect(struct net *net, const struct net_address *at,
                                enum error *ret_error)
{
    struct net_sim *n = net_of(net);
    struct conn_sim *s = conn_make(n, at, at);
    snprintf(s->from, sizeof s->from, "%s", n->client);
    if (!find_listener(n, at))
        *ret_error = ERR_REFUSED;
    else
        loop_timer_start(&s->arrival, delay(n, at));
    return &s->base;
}

static enum error sim_listen(struct net *net, const struct net_address *at, enum net_share share,
                             net_accept_fn fn, void *arg, struct net_listener **ret)
{
    struct net_sim *n = net_of(net);
    struct net_address place = *at;
    while (place.port == 0 || (at->port == 0 && find_listener(n, &place)))
        place.port = n->next_port++;
    LIST_EACH (node, &net->listeners)
        if (share != NET_NEXT && same(&listener_of(LIST_ENTRY(node, struct net_listener, node))->at,
                                      place.ip, place.port))
            return ERR_ADDRESS_IN_USE;
    struct listener_sim *l = MEM_NEW(struct listener_sim);
    l->at = place;
    l->shares = share != NET_ALONE;
    net_impl_listener_init(&l->base, net, fn, arg);
    *ret = &l->base;
    return ERR_OK;
}

static uint16_t sim_listener_port(const struct net_listener *l)
{
    return listener_of(l)->at.port;
}

static void sim_listener_close(struct net_listener *l)
{
    list_remove(&l->node);
    free(listener_of(l));
}

static void sim_destroy(struct net *net)
{
    struct net_sim *n = net_of(net);
    net_impl_finish(net);
    random_destroy(n->random);
    free(n);
}

static const struct net_ops sim_ops = {
    .destroy = sim_destroy,
    .listen = sim_listen,
    .listener_port = sim_listener_port,
    .listener_close = sim_listener_close,
    .connect = sim_connect,
    .interest = sim_interest,
    .send = sim_send,
    .shut = sim_shut,
    .release = sim_release,
};

struct net *net_create_sim(struct loop *l, uint64_t seed)
{
    struct net_sim *n = MEM_NEW(struct net_sim);
    net_impl_init(&n->base, &sim_ops, l, (struct log){0});
    n->random = random_create_seeded(seed);
    n->next_port = FIRST_PORT;
    net_sim_set_client(&n->base, "127.0.0.1");
    return &n->base;
}

/* --- faults --- */

void net_sim_cut(struct net *net, const char *ip, uint16_t port)
{
    LIST_EACH_SAFE (node, &net->conns) {
        struct conn_sim *s = conn_of(LIST_ENTRY(node, struct conn, node));
        if (!s->base.connected || !same(&s->server, ip, port))
            continue;
        if (s->peer)
            s->peer->peer = NULL;
        s->peer = NULL;
        s->reset = true;
        buffer_finish(&s->inbox);
        expect(s);
    }
}

void net_sim_blackhole(struct net *net, const char *ip, uint16_t port, bool on)
{
    struct net_sim *n = net_of(net);
    struct net_address *free_place = NULL;
    for (int i = 0; i < BLACKHOLES; i++) {
        if (same(&n->blackholes[i], ip, port))
            n->blackholes[i].ip[0] = '\0';
        if (!n->blackholes[i].ip[0] && !free_place)
            free_place = &n->blackholes[i];
    }
    if (on && free_place) {
        snprintf(free_place->ip, sizeof free_place->ip, "%s", ip);
        free_place->port = port;
        return;
    }
    LIST_EACH (node, &net->conns) {
        struct conn_sim *s = conn_of(LIST_ENTRY(node, struct conn, node));
        if (!same(&s->server, ip, port))
            continue;
        if (s->base.connected)
            expect(s);
        else
            loop_timer_start(&s->arrival, delay(n, &s->server));
    }
}

void net_sim_slow(struct net *net, const char *ip, uint16_t port, uint32_t most_ms)
{
    struct net_sim *n = net_of(net);
    size_t i = 0;
    while (i < n->slow_count && !same(&n->slow[i].at, ip, port))
        i++;
    if (i == BLACKHOLES)
        return;
    if (i == n->slow_count) {
        n->slow_count++;
        snprintf(n->slow[i].at.ip, sizeof n->slow[i].at.ip, "%s", ip);
        n->slow[i].at.port = port;
    }
    n->slow[i].most_ms = most_ms > DELAY_MS ? most_ms : DELAY_MS;
}

void net_sim_kill(struct net *net, bool on)
{
    net_of(net)->killing = on;
}

void net_sim_set_client(struct net *net, const char *ip)
{
    struct net_sim *n = net_of(net);
    snprintf(n->client, sizeof n->client, "%s", ip);
}
