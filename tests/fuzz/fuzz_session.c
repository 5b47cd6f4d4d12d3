/* The session manager under a script of stanzas and events, each line one: whatever clients, other
 * servers and c2s send in whatever order, nothing breaks, and the instance can end at any moment.
 *
 * a b c XML   a stanza from romeo/orchard, juliet/balcony, juliet/chamber      r XML  from another
 * server g XML       one that the c2s gives back       s S e + a|b|c  session start, resumed start,
 * end C D + a|b   account made, removed             x  the c2s goes and comes back    t  run all T
 * two minutes pass
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "component/component.h"
#include "net/net.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LINES_MAX 64

struct fuzz_client {
    const char *jid;
    struct session_id c2s, sm;
};

struct fuzz {
    struct env env;
    struct config config;
    struct component *router, *sm;
    struct link *c2s, *remote;
    struct fuzz_client clients[3];
};

static void on_packet(void *owner, struct packet *p)
{
    struct fuzz *f = owner;
    for (int i = 0; i < 3; i++)
        if (p->kind == PACKET_SESSION && p->action == SESSION_STARTED &&
            str_eq(session_id_str(&p->c2s), session_id_str(&f->clients[i].c2s)))
            f->clients[i].sm = p->sm;
    packet_destroy(p);
}

static void on_state(void *owner)
{
}

static void on_down(void *owner, const char *why)
{
}

static const struct link_events events = {
    .packet = on_packet, .up = on_state, .down = on_down, .writable = on_state};

static void settle(struct fuzz *f)
{
    while (loop_sim_turn(f->env.loop))
        continue;
}

static struct link *attach(struct fuzz *f, const char *name, unsigned flags)
{
    struct link *ours, *theirs;
    link_local_pair(f->env.loop, name, &ours, &theirs);
    link_set_events(ours, &events, f);
    router_component.attach(f->router, theirs, name);
    settle(f);
    link_send(ours, packet_create_control(PACKET_BIND, str_of(name), flags));
    settle(f);
    return ours;
}

static void open_world(struct fuzz *f)
{
    static char *domains[] = {"x.y"};
    f->config = (struct config){.server_domains = {domains, 1},
                                .router_address = "127.0.0.1",
                                .router_secret_file = "",
                                .router_user = "jackdaw",
                                .router_max_queue = 1 << 24,
                                .c2s_conflict = "replace",
                                .audit_file = "",
                                .ldap_group_base = "",
                                .store_url = "memory:",
                                .sm_max_resources = 2,
                                .sm_max_roster = 10,
                                .sm_max_offline = 10,
                                .sm_unload_after = 60};
    f->env.config = &f->config;
    f->env.loop = loop_create_sim(1767225600000);
    f->env.random = random_create_seeded(7);
    f->env.net = net_create_sim(f->env.loop, 7);
    f->env.parsers = parser_pool_create(f->env.random);
    f->env.data_dir = "";
    f->router = component_create(&router_component, &f->env, NULL);
    component_start(f->router);
    f->sm = component_create(&sm_component, &f->env, "sm");
    component_attach_local(f->sm, f->router);
    component_start(f->sm);
    f->c2s = attach(f, "c2s", 0);
    f->remote = attach(f, "s2s", PACKET_BIND_DEFAULT);
    f->clients[0].jid = "romeo@x.y/orchard";
    f->clients[1].jid = "juliet@x.y/balcony";
    f->clients[2].jid = "juliet@x.y/chamber";
}

static void close_world(struct fuzz *f)
{
    component_destroy(f->sm);
    link_close(f->c2s);
    link_close(f->remote);
    settle(f);
    component_destroy(f->router);
    net_destroy(f->env.net);
    parser_pool_destroy(f->env.parsers);
    loop_destroy(f->env.loop);
    random_destroy(f->env.random);
}

/* --- the lines --- */

static struct stanza *parse(struct fuzz *f, struct str xml)
{
    static const struct parser_limits limits = {.stanza_bytes = 1u << 18,
                                                .depth = 64,
                                                .attributes = 64,
                                                .namespaces = 32,
                                                .children = 4096};
    struct buffer b;
    enum parser_status status;
    size_t name = 0;
    while (name < xml.len && !strchr(" />", xml.data[name]))
        name++;
    buffer_init(&b, 1u << 18);
    buffer_add(&b, xml.data, name);
    buffer_add_str(&b, STR(" xmlns='jabber:client'"));
    buffer_add(&b, xml.data + name, xml.len - name);
    struct stanza *s = parser_document(f->env.parsers, buffer_str(&b), &limits, &status);
    buffer_finish(&b);
    return s;
}

static void from_client(struct fuzz *f, const struct fuzz_client *c, struct str xml)
{
    struct packet *p = packet_create(PACKET_STANZA, STR("sm"), STR("c2s"));
    p->stanza = parse(f, xml);
    p->c2s = c->c2s;
    p->sm = c->sm;
    if (p->stanza && p->sm.len)
        link_send(f->c2s, p);
    else
        packet_destroy(p);
}

static void from_remote(struct fuzz *f, struct link *link, const char *route_from, struct str xml)
{
    struct packet *p = packet_create(PACKET_STANZA, STR("x.y"), str_of(route_from));
    p->stanza = parse(f, xml);
    if (p->stanza)
        link_send(link, p);
    else
        packet_destroy(p);
}

static void session(struct fuzz *f, struct fuzz_client *c, char what)
{
    struct jid *jid = jid_parse(str_of(c->jid));
    struct jid *target = what == 'C' || what == 'D' ? jid_to_bare(jid) : jid_ref(jid);
    enum session_action action = what == 'e'   ? SESSION_END
                                 : what == 'C' ? SESSION_CREATE
                                 : what == 'D' ? SESSION_DELETE
                                               : SESSION_START;
    struct packet *p =
        packet_create_session(action == SESSION_END ? STR("sm") : STR("x.y"), STR("c2s"), action,
                              target, what == 'S' ? STR("resumed") : STR_NULL);
    if (action == SESSION_START)
        session_id_make(&c->c2s, f->env.random);
    p->c2s = p->request = c->c2s;
    if (action == SESSION_END)
        p->sm = c->sm;
    link_send(f->c2s, p);
    jid_unref(target);
    jid_unref(jid);
}

static void run_line(struct fuzz *f, struct str line)
{
    struct str rest = {line.data + 1, line.len - 1};
    struct fuzz_client *who = rest.len && rest.data[0] >= 'a' && rest.data[0] <= 'c'
                                  ? &f->clients[rest.data[0] - 'a']
                                  : NULL;
    char what = line.data[0];
    if (what >= 'a' && what <= 'c')
        from_client(f, &f->clients[what - 'a'], rest);
    else if (what == 'r')
        from_remote(f, f->remote, "s2s", rest);
    else if (what == 'g')
        from_remote(f, f->c2s, "c2s", rest);
    else if (strchr("sSeCD", what) && who)
        session(f, who, what);
    else if (what == 't')
        settle(f);
    else if (what == 'T')
        loop_sim_advance(f->env.loop, 120000);
    if (what == 'x') {
        link_close(f->c2s);
        loop_sim_turn(f->env.loop);
        f->c2s = attach(f, "c2s", 0);
    }
    loop_sim_turn(f->env.loop);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz f = {.c2s = NULL};
    struct str rest = {(const char *)data, size}, line;
    open_world(&f);
    for (int i = 0; i < LINES_MAX && str_split(&rest, '\n', &line); i++)
        if (line.len)
            run_line(&f, line);
    close_world(&f);
    return 0;
}
