/* The c2s component: who I am, what I open, and what I do with each event. */
#include "c2s/c2s.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "c2s/address.h"
#include "c2s/auth.h"
#include "c2s/auth_keeper.h"
#include "c2s/certificates.h"
#include "c2s/client_acks.h"
#include "c2s/lan.h"
#include "component/listeners.h"
#include "component/secret.h"
#include "xmpp/sasl2.h"
#include "xml/builder.h"
#include "xmpp/namespaces.h"

#define C2S_STOP_MS       200u  /* for the last words to leave */
#define C2S_LEAVE_AT_ONCE 100u  /* streams of a domain that is gone that end in one turn */
#define C2S_LEAVE_MS      5u    /* until the next ones do */
#define C2S_LIST_MAX      10000 /* sessions that one `sessions` command lists */

/* --- settings --- */

static enum error read_mechanisms(const struct c2s *s, unsigned *ret)
{
    const struct config_list *names = &c2s_config(s)->c2s_mechanisms;
    unsigned mechanisms = 0;

    for (size_t i = 0; i < names->count; i++) {
        enum sasl_mechanism m = sasl_mechanism_parse(str_of(names->items[i]));
        if (m == SASL_NONE || (m & SASL_BY_TOKEN)) {
            log_error(&s->component->log,
                      "c2s.mechanisms: '%s' is no mechanism; write names like SCRAM-SHA-256",
                      names->items[i]);
            return ERR_CONFIG;
        }
        mechanisms |= (unsigned)m;
    }
    *ret = mechanisms;
    return ERR_OK;
}

enum c2s_tls c2s_tls_of(const struct c2s *s, const char *domain)
{
    const char *text = c2s_config_for(s, domain)->domain_tls;

    return strcmp(text, "off") == 0        ? C2S_TLS_OFF
           : strcmp(text, "optional") == 0 ? C2S_TLS_OPTIONAL
                                           : C2S_TLS_REQUIRED;
}

/* --- start --- */

/* From it come the salts shown for accounts that do not exist: the same at every start
 * (reliability.md B 23). */
static enum error load_secret(struct c2s *s)
{
    char secret[SECRET_CHARS + 1];
    enum error e = secret_load(s->component->env, c2s_component.secret, "", secret, sizeof(secret));

    if (e == ERR_OK && strlen(secret) < sizeof(s->fake_secret)) {
        log_error(&s->component->log,
                  "the file sasl-secret in the data directory is too short: remove it");
        e = ERR_INVALID;
    }
    if (e == ERR_OK)
        memcpy(s->fake_secret, secret, sizeof(s->fake_secret));
    mem_wipe(secret, sizeof(secret));
    return e;
}

/* Clients of domains that are gone. So many at a time that the others hardly notice. */
static void on_leave_timer(struct loop_timer *timer)
{
    struct c2s *s = MEM_CONTAINER(timer, struct c2s, leave_timer);
    unsigned left = C2S_LEAVE_AT_ONCE;

    LIST_EACH_SAFE (it, &s->clients) {
        struct client *c = LIST_ENTRY(it, struct client, node);
        if (!c->domain || !domains_was_served(&s->domains, str_of(c->domain)))
            continue;
        if (left-- == 0) {
            loop_timer_start(timer, C2S_LEAVE_MS);
            return;
        }
        /* RFC 6120 section 4.9.3.5 */
        client_error(c, STREAM_ERR_HOST_GONE, "this server serves the domain no more");
    }
}

static void on_stop_timer(struct loop_timer *timer)
{
    c2s_check_stopped(MEM_CONTAINER(timer, struct c2s, stop_timer));
}

static struct c2s *create(struct component *component)
{
    struct c2s *s = MEM_NEW(struct c2s);
    struct loop *loop = component->env->loop;
    uint64_t seed[2];

    random_fill(component->env->random, seed, sizeof(seed));
    s->component = component;
    s->addresses = addresses_create(loop, seed, component->env->shared);
    list_init(&s->clients);
    list_init(&s->unauthenticated);
    list_init(&s->closed);
    list_init(&s->waiting);
    list_init(&s->starting);
    list_init(&s->registrations);
    list_init(&s->logins);
    list_init(&s->blocked);
    list_init(&s->throttled);
    s->receipts = receipts_create(component, client_acks_handled, s);
    unhandled_table_init(&s->unhandled, component, s->receipts);
    hash_init(&s->sessions, seed);
    hash_init(&s->sms, seed);
    hash_init(&s->requests, seed);
    list_init(&s->acking);
    loop_task_init(&s->acks_task, client_acks_run);
    loop_task_init(&s->reaper, client_reap);
    loop_timer_init(&s->session_timer, loop, client_session_tick);
    loop_timer_init(&s->rate_timer, loop, client_rate_tick);
    loop_timer_init(&s->stop_timer, loop, on_stop_timer);
    loop_timer_init(&s->leave_timer, loop, on_leave_timer);
    return s;
}

static void on_accept(void *owner, struct conn *conn, bool direct_tls)
{
    client_accept(owner, conn, direct_tls);
}

/* Of the configuration that is being prepared; beside those that are open. */
static struct listeners *open_listeners(struct c2s *s)
{
    const struct config *config = c2s_config(s);
    const struct listeners_config at = {
        .section = "c2s",
        .whom = "clients",
        .addresses = &config->c2s_address,
        .port = config->c2s_port,
        .shared = true,
        .tls_port = certificates_prepared(s->certificates) ? config->c2s_tls_port : 0,
        .accept = on_accept,
        .owner = s,
    };
    struct listeners *l = listeners_open(s->component, &at, s->listeners);

    if (!l || listeners_count(l) > 0)
        return l;
    log_error(&s->component->log, "there is nothing to listen on: set c2s.address and c2s.port");
    listeners_close(l);
    return NULL;
}

/* --- start and reload: what a configuration means, first prepared, then taken over --- */

static void revert(struct component *component)
{
    struct c2s *s = component->state;

    listeners_close(s->fresh.listeners);
    s->fresh.listeners = NULL;
    certificates_revert(s->certificates);
    domains_finish(&s->fresh.domains);
}

static enum error prepare(struct component *component)
{
    struct c2s *s = component->state;
    enum error e = domains_read(&s->fresh.domains, component);

    if (e == ERR_OK)
        e = read_mechanisms(s, &s->fresh.mechanisms);
    if (e == ERR_OK)
        e = certificates_prepare(s->certificates, &s->fresh.domains);
    if (e == ERR_OK && !(s->fresh.listeners = open_listeners(s)))
        e = ERR_SYSTEM;
    if (e != ERR_OK)
        revert(component);
    return e;
}

static void on_domain(void *arg, const char *domain, bool served)
{
    struct c2s *s = arg;

    log_info(&s->component->log, served ? "serving %s from now on" : "%s is served no more",
             domain);
    if (!served)
        loop_timer_start(&s->leave_timer, 0);
}

static void on_first_domain(void *arg, const char *domain, bool served)
{
}

static void take_over(struct c2s *s, domains_changed_fn changed)
{
    s->mechanisms = s->fresh.mechanisms;
    certificates_commit(s->certificates);
    listeners_replace(s->fresh.listeners, s->listeners);
    s->listeners = s->fresh.listeners;
    s->fresh.listeners = NULL;
    domains_replace(&s->domains, &s->fresh.domains, changed, s);
    lan_update(s);
}

static enum error start(struct component *component)
{
    struct c2s *s = create(component);
    enum error e;

    component->state = s;
    s->max_queue = (size_t)c2s_config(s)->c2s_max_queue;
    s->fds = net_capacity(component->env->net);
    s->certificates = certificates_create(s);
    if ((e = load_secret(s)) != ERR_OK)
        return e;
    s->auth = auth_open(component);
    if (!s->auth)
        return ERR_STORE;
    if ((e = prepare(component)) != ERR_OK)
        return e;
    take_over(s, on_first_domain);
    return ERR_OK;
}

static void reload(struct component *component)
{
    struct c2s *s = component->state;

    take_over(s, on_domain);
    LIST_EACH (it, &s->clients) {
        struct client *c = LIST_ENTRY(it, struct client, node);
        if (c->state == STREAM_BOUND)
            client_keepalive_start(c);
    }
}

/* --- accounts that are not what they were --- */

/* Which streams of an account end. */
struct ending {
    struct str bare;
    const struct client *except; /* NULL: none */
    bool devices;                /* only those that said which device they are (XEP-0388) ... */
    const unsigned char *device; /* ... and are this one; NULL: any */
};

static bool ends(const struct client *c, const struct ending *what)
{
    if (c == what->except || !c->jid || !str_eq(jid_bare(c->jid), what->bare))
        return false;
    return !what->devices || (c->has_device && (!what->device || memcmp(c->device, what->device,
                                                                        sizeof(c->device)) == 0));
}

static size_t end_here(struct c2s *s, const struct ending *what, const char *why)
{
    size_t ended = 0;

    LIST_EACH_SAFE (it, &s->clients) {
        struct client *c = LIST_ENTRY(it, struct client, node);
        if (!ends(c, what))
            continue;
        client_error(c, STREAM_ERR_NOT_AUTHORIZED, why);
        ended++;
    }
    return ended;
}

/* Nor may the account's streams be resumed that broke before (XEP-0198): those whose SM-ID begins
 * with that mark. The session managers have them. */
static void end_asleep(struct c2s *s, struct str bare, struct str mark)
{
    struct builder *b = builder_create(STR("asleep"), NS_INTERNAL);
    struct packet *news = packet_create(PACKET_BROADCAST, STR_NULL, c2s_id(s));

    builder_attr(b, STR("jid"), bare);
    builder_attr(b, STR("mark"), mark);
    news->stanza = builder_finish(b);
    component_send(s->component, news);
}

size_t c2s_end_user(struct c2s *s, struct jid *account, const struct client *except,
                    const char *why)
{
    struct builder *b = builder_create(STR("ended"), NS_JACKDAW_C2S);
    struct packet *news = packet_create(PACKET_BROADCAST, STR_NULL, c2s_id(s));

    builder_attr(b, STR("jid"), jid_bare(account));
    builder_attr(b, STR("why"), str_of(why));
    news->stanza = builder_finish(b);
    component_send(s->component, news);
    end_asleep(s, jid_bare(account), STR(""));
    return end_here(s, &(struct ending){.bare = jid_bare(account), .except = except}, why);
}

/* Only components that know a secret of the router's can broadcast. */
static void on_broadcast(struct c2s *s, struct packet *p)
{
    struct str jid = STR_NULL, why = STR_NULL;
    char text[256];

    if (p->stanza && str_eq(stanza_name(p->stanza, STANZA_ROOT), STR("ended")) &&
        str_eq(stanza_ns(p->stanza, STANZA_ROOT), NS_JACKDAW_C2S)) {
        jid = stanza_attr(p->stanza, STANZA_ROOT, STR("jid"));
        why = stanza_attr(p->stanza, STANZA_ROOT, STR("why"));
    }
    if (jid.len) {
        (void)snprintf(text, sizeof(text), "%.*s", STR_ARG(why));
        (void)end_here(s, &(struct ending){.bare = jid}, text);
    }
    packet_destroy(p);
}

/* --- events --- */

static void packet(struct component *component, struct packet *p)
{
    struct c2s *s = component->state;

    if (receipts_take(s->receipts, p))
        return;
    if (p->kind == PACKET_SESSION)
        client_session_answer(s, p);
    else if (p->kind == PACKET_STANZA && p->stanza &&
             str_eq(stanza_ns(p->stanza, STANZA_ROOT), NS_INTERNAL))
        account_request(s, p);
    else if (p->kind == PACKET_STANZA && p->error)
        client_session_returned(s, p);
    else if (p->kind == PACKET_STANZA)
        client_deliver(s, p);
    else if (p->kind == PACKET_BROADCAST)
        on_broadcast(s, p);
    else
        packet_destroy(p); /* log copies are for others */
}

static void peer(struct component *component, struct str name, bool up)
{
    if (component->state)
        client_session_peer(component->state, name, up);
}

static void writable(struct component *component)
{
    struct c2s *s = component->state;

    client_session_run(s);
    client_unblock(s);
}

/* --- stop --- */

void c2s_check_stopped(struct c2s *s)
{
    if (!s->stopping || loop_timer_running(&s->stop_timer))
        return;
    if (s->client_count == 0 && list_empty(&s->closed) && list_empty(&s->logins) &&
        list_empty(&s->registrations))
        component_stopped(s->component);
}

static void stop(struct component *component)
{
    struct c2s *s = component->state;

    s->stopping = true;
    lan_stop(s);
    listeners_close(s->listeners);
    s->listeners = NULL;
    loop_timer_start(&s->stop_timer, s->client_count > 0 ? C2S_STOP_MS : 1);
    LIST_EACH_SAFE (it, &s->clients)
        client_error(LIST_ENTRY(it, struct client, node), STREAM_ERR_SYSTEM_SHUTDOWN,
                     "the server is stopping");
}

static void destroy(struct component *component)
{
    struct c2s *s = component->state;

    if (!s)
        return;
    lan_stop(s);
    listeners_close(s->listeners);
    LIST_EACH_SAFE (it, &s->clients)
        client_lost(LIST_ENTRY(it, struct client, node), "the component ends");
    loop_task_cancel(&s->acks_task);
    loop_task_cancel(&s->reaper);
    client_reap(&s->reaper);
    auth_close(s->auth); /* its callbacks come now */
    client_auth_forget(s);
    client_register_forget(s);
    client_session_finish(s);
    unhandled_table_finish(&s->unhandled);
    receipts_destroy(s->receipts);
    hash_finish(&s->requests);
    loop_timer_stop(&s->session_timer);
    loop_timer_stop(&s->rate_timer);
    loop_timer_stop(&s->stop_timer);
    loop_timer_stop(&s->leave_timer);
    certificates_destroy(s->certificates);
    addresses_destroy(s->addresses);
    domains_finish(&s->domains);
    domains_finish(&s->fresh.domains);
    mem_wipe(s->fake_secret, sizeof(s->fake_secret));
    free(s);
    component->state = NULL;
}

/* --- status and commands --- */

static void status(struct component *component, json_t *into)
{
    const struct c2s *s = component->state;

    if (!s)
        return;
    component_count(into, "connections", s->client_count);
    component_count(into, "authenticated", s->client_count - s->unauthenticated_count);
    component_count(into, "sessions", s->session_count);
    component_count(into, "tls", s->tls_count);
    component_count(into, "held_bytes", s->backlog_bytes);
    component_count(into, "accepted", s->count.accepted);
    component_count(into, "refused", s->count.refused);
    component_count(into, "bytes_in", s->count.bytes_in);
    component_count(into, "bytes_out", s->count.bytes_out);
    component_count(into, "stanzas_in", s->count.stanzas_in);
    component_count(into, "stanzas_out", s->count.stanzas_out);
    component_count(into, "logins", s->count.logins);
    component_count(into, "login_failures", s->count.login_failures);
    component_count(into, "registrations", s->count.registrations);
    component_count(into, "stream_errors", s->count.stream_errors);
    component_count(into, "resumed", s->count.resumed);
    component_count(into, "cut_slow", s->count.slow);
    component_count(into, "undeliverable", s->count.bounced);
}

static json_t *end_user(struct c2s *s, const json_t *request, const char *why)
{
    const char *text = json_string_value(json_object_get(request, "jid"));
    struct jid *jid = text ? jid_parse(str_of(text)) : NULL;
    size_t ended;

    if (!jid)
        return json_pack("{s:s}", "error", "the command needs a valid jid");
    /* every process is told by itself */
    end_asleep(s, jid_bare(jid), STR(""));
    ended = end_here(s, &(struct ending){.bare = jid_bare(jid)}, why);
    jid_unref(jid);
    return json_pack("{s:b, s:I}", "ok", 1, "ended", (json_int_t)ended);
}

static json_t *end_device(struct c2s *s, const json_t *request)
{
    const char *text = json_string_value(json_object_get(request, "jid"));
    struct str id = str_of(json_string_value(json_object_get(request, "device")));
    struct jid *jid = text ? jid_parse(str_of(text)) : NULL;
    unsigned char device[16];
    bool all = str_is(id, "all"), ok = jid && (all || (id.data && sasl2_parse_uuid(id, device)));
    const unsigned char *only = all ? NULL : device;
    char mark[CLIENT_ACKS_MARK];
    size_t ended = 0;

    if (ok) {
        end_asleep(s, jid_bare(jid), client_acks_mark(s, jid_bare(jid), only, mark));
        ended =
            end_here(s, &(struct ending){.bare = jid_bare(jid), .devices = true, .device = only},
                     "the login of this device was revoked");
    }
    jid_unref(jid);
    if (!ok)
        return json_pack("{s:s}", "error", "the command needs a valid jid and device");
    return json_pack("{s:b, s:I}", "ok", 1, "ended", (json_int_t)ended);
}

static json_t *list_sessions(const struct c2s *s)
{
    json_t *list = json_array();

    LIST_EACH (it, &s->clients) {
        const struct client *c = LIST_ENTRY(it, struct client, node);
        if (c->state != STREAM_BOUND)
            continue;
        if (json_array_size(list) == C2S_LIST_MAX)
            break;
        json_array_append_new(
            list, json_pack("{s:s, s:s, s:b, s:s?, s:I, s:I}", "jid", c->jid->text, "address",
                            conn_peer(c->conn)->ip, "tls", (int)c->tls, "sm",
                            c->manager ? c->manager->name : NULL, "stanzas_in",
                            (json_int_t)c->stanzas, "bytes_out", (json_int_t)c->delivered));
    }
    return json_pack("{s:b, s:o, s:I}", "ok", 1, "sessions", list, "count",
                     (json_int_t)s->session_count);
}

static json_t *command(struct component *component, const json_t *request)
{
    struct c2s *s = component->state;
    struct str name = str_of(json_string_value(json_object_get(request, "command")));

    if (str_is(name, "user-gone"))
        return end_user(s, request, "the account was removed");
    if (str_is(name, "user-disabled"))
        return end_user(s, request, "the account was disabled");
    if (str_is(name, "user-passwd"))
        return end_user(s, request, "the password was changed");
    if (str_is(name, "user-device"))
        return end_device(s, request);
    if (str_is(name, "sessions"))
        return list_sessions(s);
    return NULL;
}

const struct component_ops c2s_component = {
    .name = "c2s",
    .stores = 1u << STORE_ACCOUNTS,
    .secret = "sasl-secret",
    .keys = true,
    .per_loop = true,
    .start = start,
    .packet = packet,
    .peer = peer,
    .writable = writable,
    .prepare = prepare,
    .reload = reload,
    .revert = revert,
    .stop = stop,
    .status = status,
    .destroy = destroy,
    .command = command,
    .helper_wanted = auth_keeper_wanted,
    .helper = auth_keeper_run,
};
