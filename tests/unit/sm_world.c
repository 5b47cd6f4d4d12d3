/* See sm_world.h. */
#include "sm_world.h"

#include "base/mem.h"
#include "net/net.h"
#include "xmpp/namespaces.h"

/* --- text --- */

static void inbox_add(struct inbox *in, char *text)
{
    assert_true(in->count < INBOX_MAX);
    in->texts[in->count++] = text;
}

static void inbox_finish(struct inbox *in)
{
    for (size_t i = 0; i < in->count; i++)
        free(in->texts[i]);
    in->count = in->taken = 0;
}

/* Ids that the server makes up become '*'. */
static void blank_id(char *text)
{
    char *id = strstr(text, " id='");
    bool push = strncmp(text, "<iq", 3) == 0 && strstr(text, "type='set'") &&
                strstr(text, "jabber:iq:roster");
    if (!push || !id)
        return;
    id += 5;
    char *end = strchr(id, '\'');
    *id = '*';
    memmove(id + 1, end, strlen(end) + 1);
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The root's attributes in alphabetical order: which order they have says nothing. */
static char *in_order(const char *xml)
{
    char *attributes[16], *out = mem_alloc(strlen(xml) + 1);
    size_t count = 0, name = strcspn(xml, " />");
    const char *at = xml + name;
    while (*at == ' ') {
        size_t len = strcspn(at, "'") + 1;
        len += strcspn(at + len, "'") + 1;
        attributes[count++] = mem_strndup(at, len);
        at += len;
    }
    qsort(attributes, count, sizeof *attributes, compare_texts);
    memcpy(out, xml, name);
    for (size_t i = 0; i < count; i++) {
        memcpy(out + strlen(out), attributes[i], strlen(attributes[i]));
        free(attributes[i]);
    }
    memcpy(out + strlen(out), at, strlen(at));
    return out;
}

static char *text_of(const struct packet *p)
{
    char *text = mem_alloc(packet_write_size(p) + 1);
    text[packet_write_to(p, text)] = '\0';
    blank_id(text);
    char *ordered = in_order(text);
    free(text);
    return ordered;
}

static struct stanza *parse(struct sm_world *w, const char *xml)
{
    static const struct parser_limits limits = {.stanza_bytes = 1u << 20,
                                                .depth = 64,
                                                .attributes = 64,
                                                .namespaces = 64,
                                                .children = 10000};
    size_t name = strcspn(xml, " />");
    struct buffer b;
    enum parser_status status;
    buffer_init(&b, 1u << 20);
    buffer_printf(&b, "%.*s xmlns='jabber:client'%s", (int)name, xml, xml + name);
    struct stanza *s = parser_document(w->env.parsers, buffer_str(&b), &limits, &status);
    if (!s)
        fail_msg("not XML: %s", xml);
    buffer_finish(&b);
    return s;
}

static void expect(struct inbox *in, const char *who, const char *text, bool anywhere)
{
    char *xml = in_order(text);
    for (size_t i = in->taken; i < in->count; i++) {
        if (strcmp(in->texts[i], xml) == 0) {
            char *found = in->texts[i];
            memmove(in->texts + in->taken + 1, in->texts + in->taken,
                    (i - in->taken) * sizeof found);
            in->texts[in->taken++] = found;
            free(xml);
            return;
        }
        if (!anywhere)
            fail_msg("%s got     %s\n  instead of %s", who, in->texts[i], xml);
    }
    for (size_t i = in->taken; i < in->count; i++)
        print_message("%s unread: %s\n", who, in->texts[i]);
    fail_msg("%s did not get %s", who, xml);
}

static void nothing(struct inbox *in, const char *who)
{
    if (in->taken < in->count)
        fail_msg("%s got %s", who, in->texts[in->taken]);
}

/* --- the c2s --- */

static struct client *client_by_id(struct sm_world *w, const struct session_id *id)
{
    for (size_t i = 0; i < w->client_count; i++)
        if (str_eq(session_id_str(&w->clients[i]->c2s), session_id_str(id)))
            return w->clients[i];
    return NULL;
}

static void on_session(struct sm_world *w, const struct packet *p)
{
    struct client *c = client_by_id(w, &p->c2s);
    if (!c) {
        w->answer = p->action;
        w->answer_failed = p->failed;
        w->answered = true;
        return;
    }
    c->last = p->action;
    c->failed = p->failed;
    c->reason[0] = '\0';
    if (p->reason.data)
        snprintf(c->reason, sizeof c->reason, "%.*s", STR_ARG(p->reason));
    c->up = p->action == SESSION_STARTED && !p->failed;
    if (c->up)
        c->sm = p->sm;
}

static void on_c2s_packet(void *owner, struct packet *p)
{
    struct sm_world *w = owner;
    struct client *c = client_by_id(w, &p->c2s);
    if (p->kind == PACKET_SESSION)
        on_session(w, p);
    else if (p->kind == PACKET_STANZA && c)
        inbox_add(&c->in, text_of(p));
    packet_destroy(p);
}

static void on_remote_packet(void *owner, struct packet *p)
{
    struct sm_world *w = owner;
    if (p->kind == PACKET_STANZA)
        inbox_add(&w->from_sm, text_of(p));
    packet_destroy(p);
}

static void on_up(void *owner)
{
}

static void on_down(void *owner, const char *why)
{
}

static const struct link_events c2s_events = {
    .packet = on_c2s_packet, .up = on_up, .down = on_down, .writable = on_up};
static const struct link_events remote_events = {
    .packet = on_remote_packet, .up = on_up, .down = on_down, .writable = on_up};

static struct link *attach(struct sm_world *w, const struct link_events *events, const char *name,
                           unsigned flags)
{
    struct link *ours, *theirs;
    link_local_pair(w->env.loop, name, &ours, &theirs);
    link_set_events(ours, events, w);
    router_component.attach(w->router, theirs, name);
    world_settle(w);
    link_send(ours, packet_create_control(PACKET_BIND, str_of(name), flags));
    world_settle(w);
    return ours;
}

void world_c2s_gone(struct sm_world *w)
{
    link_close(w->c2s);
    w->c2s = NULL;
    world_settle(w);
}

void world_c2s_back(struct sm_world *w)
{
    w->c2s = attach(w, &c2s_events, "c2s", 0);
}

/* --- the world --- */

static void defaults(struct config *config)
{
    static char *domains[] = {"example.net"};
    config->server_domains = (struct config_list){domains, 1};
    config->router_address = "127.0.0.1";
    config->router_secret_file = "";
    config->router_user = "jackdaw";
    config->router_max_queue = 1 << 24;
    config->c2s_conflict = "replace";
    config->store_url = "memory:";
    config->audit_file = config->ldap_group_base = "";
    config->sm_max_resources = 20;
    config->sm_max_roster = 100;
    config->sm_max_offline = 1000;
    config->sm_unload_after = 60;
}

int world_setup(void **state)
{
    struct sm_world *w = MEM_NEW(struct sm_world);
    w->env.loop = loop_create_sim(1767225600000); /* 2026-01-01T00:00:00Z */
    w->env.random = random_create_seeded(7);
    w->env.net = net_create_sim(w->env.loop, 7);
    w->env.parsers = parser_pool_create(w->env.random);
    w->env.data_dir = "";
    if (getenv("TEST_LOG"))
        w->env.log.sink = log_sink_create(stderr, LOG_WARNING, LOG_TEXT);
    defaults(&w->config);
    w->env.config = &w->config;
    w->router = component_create(&router_component, &w->env, NULL);
    assert_int_equal(component_start(w->router), ERR_OK);
    w->sm = component_create(&sm_component, &w->env, "sm");
    component_attach_local(w->sm, w->router);
    assert_int_equal(component_start(w->sm), ERR_OK);
    world_settle(w);
    w->c2s = attach(w, &c2s_events, "c2s", 0);
    w->remote = attach(w, &remote_events, "s2s", PACKET_BIND_DEFAULT);
    /* Other servers' stanzas come from the domain itself in these tests. */
    link_send(w->remote, packet_create_control(PACKET_BIND, STR("remote.example"), 0));
    world_settle(w);
    *state = w;
    return 0;
}

int world_teardown(void **state)
{
    struct sm_world *w = *state;
    component_destroy(w->sm); /* as it is, in the middle of whatever it does */
    link_close(w->c2s);
    link_close(w->remote);
    world_settle(w);
    component_destroy(w->router);
    world_settle(w);
    for (size_t i = 0; i < w->client_count; i++) {
        inbox_finish(&w->clients[i]->in);
        jid_unref(w->clients[i]->jid);
        free(w->clients[i]);
    }
    inbox_finish(&w->from_sm);
    net_destroy(w->env.net);
    parser_pool_destroy(w->env.parsers);
    loop_destroy(w->env.loop);
    random_destroy(w->env.random);
    log_sink_destroy(w->env.log.sink);
    free(w);
    return 0;
}

void world_settle(struct sm_world *w)
{
    while (loop_sim_turn(w->env.loop))
        continue;
}

void world_forget(struct sm_world *w)
{
    for (size_t i = 0; i < w->client_count; i++)
        client_forget(w->clients[i]);
    w->from_sm.taken = w->from_sm.count;
}

json_int_t world_status(struct sm_world *w, const char *name)
{
    json_t *status = component_status(w->sm);
    json_t *value = json_object_get(status, name);
    if (!value)
        value = json_object_get(json_object_get(status, "counters"), name);
    json_int_t n = json_integer_value(value);
    json_decref(status);
    return n;
}

/* --- clients --- */

struct client *client_start(struct sm_world *w, const char *jid, const char *reason)
{
    assert_true(w->client_count < CLIENT_MAX);
    struct client *c = MEM_NEW(struct client);
    w->clients[w->client_count++] = c;
    c->world = w;
    c->jid = jid_parse(str_of(jid));
    assert_non_null(c->jid);
    session_id_make(&c->c2s, w->env.random);
    struct packet *p = packet_create_session(jid_domain(c->jid), STR("c2s"), SESSION_START, c->jid,
                                             str_of(reason));
    p->c2s = p->request = c->c2s;
    link_send(w->c2s, p);
    world_settle(w);
    return c;
}

struct client *client_online(struct sm_world *w, const char *jid)
{
    struct client *c = client_start(w, jid, NULL);
    assert_true(c->up);
    client_send(c, "<iq type='get' id='roster'><query xmlns='jabber:iq:roster'/></iq>");
    client_send(c, "<presence/>");
    world_forget(w);
    return c;
}

void client_end(struct client *c)
{
    struct packet *p = packet_create_session(STR("sm"), STR("c2s"), SESSION_END, c->jid, STR_NULL);
    p->c2s = c->c2s;
    p->sm = c->sm;
    link_send(c->world->c2s, p);
    world_settle(c->world);
    assert_int_equal(c->last, SESSION_ENDED);
}

void client_post(struct client *c, const char *xml)
{
    struct packet *p = packet_create(PACKET_STANZA, STR("sm"), STR("c2s"));
    p->stanza = parse(c->world, xml);
    p->from = jid_ref(c->jid);
    p->c2s = c->c2s;
    p->sm = c->sm;
    link_send(c->world->c2s, p);
}

void client_send(struct client *c, const char *xml)
{
    client_post(c, xml);
    world_settle(c->world);
}

void client_expect(struct client *c, const char *xml)
{
    expect(&c->in, c->jid->text, xml, false);
}

void client_expect_some(struct client *c, const char *xml)
{
    expect(&c->in, c->jid->text, xml, true);
}

void client_nothing(struct client *c)
{
    nothing(&c->in, c->jid->text);
}

void client_forget(struct client *c)
{
    c->in.taken = c->in.count;
}

/* --- others --- */

void remote_send(struct sm_world *w, const char *xml)
{
    struct stanza *s = parse(w, xml);
    struct jid *to = jid_parse(stanza_attr(s, STANZA_ROOT, STR("to")));
    struct packet *p = packet_create(PACKET_STANZA, jid_domain(to), STR("remote.example"));
    p->stanza = s;
    p->to = to;
    p->from = jid_parse(stanza_attr(s, STANZA_ROOT, STR("from")));
    link_send(w->remote, p);
    world_settle(w);
}

void remote_expect(struct sm_world *w, const char *xml)
{
    expect(&w->from_sm, "the remote server", xml, false);
}

void remote_nothing(struct sm_world *w)
{
    nothing(&w->from_sm, "the remote server");
}

void account_post(struct sm_world *w, enum session_action action, const char *text)
{
    struct jid *jid = jid_parse(str_of(text));
    struct packet *p = packet_create_session(jid_domain(jid), STR("c2s"), action, jid, STR_NULL);
    session_id_make(&p->request, w->env.random);
    p->c2s = p->request;
    w->answered = false;
    link_send(w->c2s, p);
    jid_unref(jid);
}

void account_action(struct sm_world *w, enum session_action action, const char *jid)
{
    account_post(w, action, jid);
    world_settle(w);
}
