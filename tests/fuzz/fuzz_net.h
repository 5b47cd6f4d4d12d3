/* What the fuzzers of streams share: an environment on a simulated network, the attacker's ends of
 * connections, and somebody at home who looks at what comes through. */
#ifndef JACKDAW_FUZZ_NET_H
#define JACKDAW_FUZZ_NET_H

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "component/component.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LINES_MAX 64
#define HEARD_MAX (1u << 18)

/* --- the attacker's ends --- */

struct side {
    struct conn *conn;
    struct buffer heard;
};

static inline void hang_up(struct side *s)
{
    conn_close(s->conn, 0);
    s->conn = NULL;
}

static inline void side_data(void *owner, const char *bytes, size_t len)
{
    struct side *s = owner;

    if (buffer_len(&s->heard) + len > HEARD_MAX)
        buffer_clear(&s->heard);
    (void)buffer_add(&s->heard, bytes, len);
}

static inline void side_close(void *owner, enum error e, const char *why)
{
    (void)e, (void)why;
    hang_up(owner);
}

static const struct conn_events side_events = {.on_data = side_data, .on_close = side_close};

/* Connects first, when it is not. */
static inline void say(const struct env *env, struct side *s, const struct net_address *at,
                       struct str bytes)
{
    if (!s->conn) {
        buffer_clear(&s->heard);
        s->conn = conn_connect(env->net, at, &side_events, s);
    }
    (void)conn_write(s->conn, bytes.data, bytes.len);
}

/* The value of the last id attribute that was heard; data == NULL: none. */
static inline struct str last_id(const struct side *s)
{
    struct str all = buffer_str(&s->heard), found = STR_NULL;

    for (size_t i = 0; i + 5 < all.len; i++)
        if (memcmp(all.data + i, " id='", 5) == 0) {
            const char *end = memchr(all.data + i + 5, '\'', all.len - i - 5);
            if (end)
                found = (struct str){all.data + i + 5, (size_t)(end - all.data) - i - 5};
        }
    return found;
}

/* --- home --- */

static inline void home_state(void *owner)
{
    (void)owner;
}

static inline void home_down(void *owner, const char *why)
{
    (void)owner, (void)why;
}

/* Attaches to the router and binds home.test. `events` as above, with a packet of the fuzzer's. */
static inline struct link *home_comes(const struct env *env, struct component *router,
                                      const struct link_events *events)
{
    struct link *ours, *theirs;

    link_local_pair(env->loop, "home", &ours, &theirs);
    link_set_events(ours, events, NULL);
    router_component.attach(router, theirs, "home");
    loop_sim_advance(env->loop, 50);
    link_send(ours, packet_create_control(PACKET_BIND, STR("home.test"), 0));
    loop_sim_advance(env->loop, 50);
    return ours;
}

/* --- the environment --- */

static inline void env_report(void *arg, const char *message)
{
    (void)arg, (void)message;
    abort();
}

static inline void env_open(struct env *env, const char *const sets[], size_t count)
{
    env->config = config_load(NULL, sets, count, env_report, NULL);
    env->loop = loop_create_sim(1767225600000);
    env->random = random_create_seeded(7);
    env->net = net_create_sim(env->loop, 7);
    env->parsers = parser_pool_create(env->random);
    env->data_dir = "";
}

static inline void env_close(struct env *env)
{
    net_destroy(env->net);
    parser_pool_destroy(env->parsers);
    loop_destroy(env->loop);
    random_destroy(env->random);
    config_destroy((struct config *)env->config);
}

#endif
