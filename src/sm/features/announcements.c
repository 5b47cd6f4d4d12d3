/* Announcements and the message of the day, as jabberd had them: an administrator writes to
 *
 *   DOMAIN/announce, DOMAIN/announce/motd   everybody online, and all others at their next login
 *   DOMAIN/announce/online                  everybody online
 *   DOMAIN/announce/motd/update             everybody at the next login
 *   DOMAIN/announce/motd/delete             the message of the day is gone
 *
 * and the same by ad-hoc commands (XEP-0133 sections 4.23 to 4.26). Each user sees a message of the
 * day once, on the first session that takes messages: whoever writes the time into motd-times shows
 * it. The messages of all domains are kept in memory; where there is none a login costs nothing.
 * Several session managers tell each other. */
#include <stdlib.h>
#include "base/mem.h"
#include "sm/admin.h"
#include "sm/broadcast.h"
#include "sm/command.h"
#include "sm/send.h"
#include "sm/stored.h"
#include "xmpp/announcement.h"
#include "xmpp/namespaces.h"

struct motd {
    struct list node;
    struct jid *domain;
    struct stanza *message;
    int64_t time;
};

struct announce_state {
    struct list motds;
    struct broadcasts broadcasts;
};

static struct announce_state *state_of(const struct sm *sm)
{
    return sm->state[FEATURE_announcements];
}

/* --- the messages in memory --- */

static struct motd *find(const struct sm *sm, struct str domain)
{
    LIST_EACH (it, &state_of(sm)->motds) {
        struct motd *m = LIST_ENTRY(it, struct motd, node);
        if (str_eq(jid_domain(m->domain), domain))
            return m;
    }
    return NULL;
}

static void drop(struct motd *m)
{
    if (!m)
        return;
    list_remove(&m->node);
    jid_unref(m->domain);
    stanza_unref(m->message);
    free(m);
}

static void keep(struct sm *sm, struct jid *domain, struct stanza *message, int64_t time)
{
    drop(find(sm, jid_domain(domain)));
    struct motd *m = MEM_NEW(struct motd);
    m->domain = jid_ref(domain);
    m->message = stanza_ref(message);
    m->time = time;
    list_push(&state_of(sm)->motds, &m->node);
}

static void keep_row(struct sm *sm, struct str name, struct str xml, int64_t time)
{
    struct jid *domain = jid_parse(name);
    struct stanza *message = stored_parse(sm->c->env->parsers, xml);
    if (domain && message)
        keep(sm, domain, message, time);
    else
        log_error(&sm->c->log, "the message of the day of %.*s cannot be read; set it again",
                  STR_ARG(name));
    jid_unref(domain);
    stanza_unref(message);
}

static void on_loaded(void *arg, enum error e, const struct store_rows *rows)
{
    struct sm *sm = arg;
    if (e == ERR_CANCELLED)
        return;
    if (e) {
        log_error(&sm->c->log, "cannot read the messages of the day: %s", error_text(e));
        return;
    }
    while (!list_empty(&state_of(sm)->motds))
        drop(LIST_ENTRY(state_of(sm)->motds.next, struct motd, node));
    for (size_t i = 0; i < store_rows_count(rows); i++)
        keep_row(sm, store_text(rows, i, 0), store_text(rows, i, 1), store_int(rows, i, 2));
}

/* --- to those who are online --- */

/* To the other session managers: NS_INTERNAL, root `motd` or `announce`, with a message or not. */
static void tell_others(struct sm *sm, const char *what, struct jid *domain,
                        const struct stanza *message, int64_t time)
{
    struct builder *b = builder_create(str_of(what), NS_INTERNAL);
    builder_attr(b, STR("domain"), jid_domain(domain));
    builder_attr_u64(b, STR("time"), (uint64_t)time);
    if (message)
        builder_copy(b, message, STANZA_ROOT);
    struct packet *p = packet_create(PACKET_BROADCAST, STR_NULL, str_of(sm->c->id));
    p->stanza = builder_finish(b);
    component_send(sm->c, p);
}

/* To everybody of the domain who is online, at every sm. The message stays the caller's. False when
 * too many announcements are under way. */
static bool announce_online(struct sm *sm, struct jid *domain, struct stanza *message)
{
    if (!broadcast_start(&state_of(sm)->broadcasts, sm, domain, message, 0))
        return false;
    tell_others(sm, "announce", domain, message, 0);
    return true;
}

/* --- the message of the day --- */

static int64_t next_time(const struct sm *sm, struct str domain)
{
    const struct motd *old = find(sm, domain);
    int64_t now = loop_wall(sm->loop) / 1000;
    return old && old->time >= now ? old->time + 1 : now; /* later than any before */
}

/* A change that is being written, and who is to hear of it. */
struct change {
    struct sm *sm;
    struct jid *domain;
    struct stanza *message; /* NULL: it goes */
    int64_t time;
    bool online;               /* and to everybody online */
    struct command_call *call; /* one of these asked */
    struct packet *packet;
};

static void carry_out(struct change *c)
{
    struct sm *sm = c->sm;
    if (!c->message) {
        drop(find(sm, jid_domain(c->domain)));
    } else {
        keep(sm, c->domain, c->message, c->time);
        if (c->online)
            broadcast_start(&state_of(sm)->broadcasts, sm, c->domain, c->message, c->time);
    }
    tell_others(sm, "motd", c->domain, c->online ? c->message : NULL, c->time);
}

static void on_changed(void *arg, enum error e, const struct store_rows *rows)
{
    struct change *c = arg;
    if (!e)
        carry_out(c);
    else if (e != ERR_CANCELLED)
        log_error(&c->sm->c->log, "cannot store the message of the day of %s: %s", c->domain->text,
                  error_text(e));
    if (c->call && e)
        command_refuse(c->call, send_condition(e));
    else if (c->call)
        command_done(c->call, c->message ? "The message of the day is set."
                                         : "The message of the day is deleted.");
    if (c->packet && e)
        send_error(c->sm, NULL, c->packet, send_condition(e), NULL);
    else
        packet_destroy(c->packet);
    jid_unref(c->domain);
    stanza_unref(c->message);
    free(c);
}

/* `message` NULL: none from now on. Takes the reference, and call or packet. */
static void change_motd(struct sm *sm, struct jid *domain, struct stanza *message, bool online,
                        struct command_call *call, struct packet *packet)
{
    struct change *c = MEM_NEW(struct change);
    *c = (struct change){.sm = sm,
                         .domain = jid_ref(domain),
                         .message = message,
                         .time = next_time(sm, jid_domain(domain)),
                         .online = online,
                         .call = call,
                         .packet = packet};
    struct store_txn *t = store_begin(sm->store);
    if (message) {
        struct str xml = stored_text(message);
        t = motd_set(t, jid_domain(domain), xml, c->time);
        free((char *)(uintptr_t)xml.data);
    } else {
        t = motd_delete(t, jid_domain(domain));
    }
    store_commit(t, on_changed, c);
}

/* --- a login --- */

struct showing {
    struct sm *sm;
    struct session_id session;
    struct jid *owner, *domain;
    struct stanza *message;
    int64_t time;
};

static void showing_end(struct showing *w)
{
    jid_unref(w->owner);
    jid_unref(w->domain);
    stanza_unref(w->message);
    free(w);
}

static void on_seen(void *arg, enum error e, const struct store_rows *rows)
{
    struct showing *w = arg;
    struct session *s = e ? NULL : session_find(w->sm, &w->session);
    if (s)
        send_session(s, w->message, w->domain, s->jid);
    showing_end(w);
}

static void on_time(void *arg, enum error e, const struct store_rows *rows)
{
    struct showing *w = arg;
    bool seen = !e && store_rows_count(rows) > 0 && store_int(rows, 0, 0) >= w->time;
    if (e || seen)
        showing_end(w);
    else
        store_commit(motd_see(store_begin(w->sm->store), jid_full(w->owner), w->time), on_seen, w);
}

static enum path_result at_available(struct path_event *e)
{
    const struct motd *m = find(e->sm, jid_domain(e->user->jid));
    if (!m)
        return PATH_PASS;
    struct showing *w = MEM_NEW(struct showing);
    *w = (struct showing){.sm = e->sm,
                          .session = e->session->sm,
                          .owner = jid_ref(e->user->jid),
                          .domain = jid_ref(m->domain),
                          .message = stanza_ref(m->message),
                          .time = m->time};
    motd_time(e->sm->store, jid_full(w->owner), on_time, w);
    return PATH_PASS;
}

/* --- messages to the announce addresses --- */

enum address { NOT_OURS, TO_ONLINE, TO_ALL, TO_LATER, TO_NONE };

static enum address address_of(struct str resource)
{
    static const struct {
        const char *name;
        enum address address;
    } addresses[] = {{"announce", TO_ALL},
                     {"announce/motd", TO_ALL},
                     {"announce/online", TO_ONLINE},
                     {"announce/motd/update", TO_LATER},
                     {"announce/motd/delete", TO_NONE}};
    for (size_t i = 0; i < sizeof addresses / sizeof *addresses; i++)
        if (str_is(resource, addresses[i].name))
            return addresses[i].address;
    return NOT_OURS;
}

/* What the users get: subject and body as they were written, in every language; nothing else. NULL
 * when there is neither. */
static struct stanza *cleaned(const struct packet *p)
{
    struct builder *b = builder_create(STR("message"), NS_CLIENT);
    bool any = false;
    builder_attr(b, STR("type"), STR("headline"));
    builder_attr(b, STR("from"), jid_domain(p->to));
    if (stanza_lang(p->stanza, STANZA_ROOT).data)
        builder_lang(b, stanza_lang(p->stanza, STANZA_ROOT));
    for (stanza_el el = stanza_first(p->stanza, STANZA_ROOT); el != STANZA_NONE;
         el = stanza_next(p->stanza, el)) {
        if (!stanza_is(p->stanza, el, STR("subject"), NS_CLIENT) &&
            !stanza_is(p->stanza, el, STR("body"), NS_CLIENT))
            continue;
        builder_copy(b, p->stanza, el);
        any = true;
    }
    if (any)
        return builder_finish(b);
    builder_destroy(b);
    return NULL;
}

static void announce(struct sm *sm, enum address address, struct packet *p)
{
    struct jid *domain = sm_domain(sm, jid_domain(p->to));
    struct stanza *message = address == TO_NONE ? NULL : cleaned(p);
    if (address != TO_NONE && !message) {
        send_error(sm, NULL, p, STANZA_ERR_BAD_REQUEST, "an announcement needs a body");
    } else if (address != TO_ONLINE) {
        change_motd(sm, domain, message, address == TO_ALL, NULL, p);
    } else {
        if (announce_online(sm, domain, message))
            packet_destroy(p);
        else
            send_error(sm, NULL, p, STANZA_ERR_RESOURCE_CONSTRAINT, NULL);
        stanza_unref(message);
    }
}

static enum path_result at_domain_message(struct path_event *e)
{
    struct packet *p = e->packet;
    enum address address = address_of(jid_resource(p->to));
    if (address == NOT_OURS || str_is(send_type(p->stanza), "error"))
        return PATH_PASS;
    if (!admin_may(e->sm, jid_bare(p->from), jid_domain(p->to))) {
        send_error(e->sm, e->session, p, STANZA_ERR_FORBIDDEN, NULL); /* reliability.md B 32 */
        return PATH_DONE;
    }
    log_info(&e->sm->c->log, "%s announces to %s", p->from->text, p->to->text);
    announce(e->sm, address, p);
    return PATH_DONE;
}

/* --- from another session manager --- */

static enum path_result at_internal(struct path_event *e)
{
    struct sm *sm = e->sm;
    const struct stanza *s = e->packet->stanza;
    bool motd = stanza_is(s, STANZA_ROOT, STR("motd"), NS_INTERNAL);
    if (e->packet->error || (!motd && !stanza_is(s, STANZA_ROOT, STR("announce"), NS_INTERNAL)))
        return PATH_PASS;
    struct jid *domain = sm_domain(sm, stanza_attr(s, STANZA_ROOT, STR("domain")));
    stanza_el el = stanza_child(s, STANZA_ROOT, STR("message"), NS_CLIENT);
    if (domain && el != STANZA_NONE) {
        struct stanza *message = stanza_extract(s, el);
        uint64_t time = 0;
        (void)str_to_u64(stanza_attr(s, STANZA_ROOT, STR("time")), INT64_MAX, &time);
        broadcast_start(&state_of(sm)->broadcasts, sm, domain, message, (int64_t)time);
        stanza_unref(message);
    }
    if (motd)
        motd_list(sm->store, on_loaded, sm);
    packet_destroy(e->packet);
    return PATH_DONE;
}

/* --- the control socket: every sm is told by itself --- */

/* `jackdaw announce --online`: {"command":"announce","domain":,"text":}. */
static json_t *control_announce(struct sm *sm, struct jid *domain, const json_t *request)
{
    const char *text = json_string_value(json_object_get(request, "text"));
    struct stanza *message = text && builder_text_ok(str_of(text))
                                 ? announcement_create(jid_domain(domain), NULL, text)
                                 : NULL;
    bool started = message && broadcast_start(&state_of(sm)->broadcasts, sm, domain, message, 0);
    stanza_unref(message);
    return started ? json_pack("{s:b}", "ok", 1)
                   : json_pack("{s:s}", "error",
                               "the text cannot be sent, or too many are on their way");
}

/* `jackdaw motd`: the store has been changed. {"command":"motd","domain":,"online":xml,"time":}. */
static json_t *control_motd(struct sm *sm, struct jid *domain, const json_t *request)
{
    const char *xml = json_string_value(json_object_get(request, "online"));
    struct stanza *message = xml ? stored_parse(sm->c->env->parsers, str_of(xml)) : NULL;
    if (message)
        broadcast_start(&state_of(sm)->broadcasts, sm, domain, message,
                        (int64_t)json_integer_value(json_object_get(request, "time")));
    stanza_unref(message);
    motd_list(sm->store, on_loaded, sm);
    return json_pack("{s:b}", "ok", 1);
}

static json_t *control(struct sm *sm, const json_t *request)
{
    struct str command = str_of(json_string_value(json_object_get(request, "command")));
    bool motd = str_is(command, "motd");
    if (!motd && !str_is(command, "announce"))
        return NULL;
    struct jid *domain =
        sm_domain(sm, str_of(json_string_value(json_object_get(request, "domain"))));
    if (!domain)
        return json_pack("{s:s}", "error", "this domain is not served");
    return motd ? control_motd(sm, domain, request) : control_announce(sm, domain, request);
}

/* --- commands --- */

static const struct data_field announce_fields[] = {
    {.type = DATA_TEXT_SINGLE, .var = "subject", .label = "Subject"},
    {.type = DATA_TEXT_MULTI, .required = true, .var = "announcement", .label = "Announcement"},
    {.var = NULL}};
static const struct data_field motd_fields[] = {
    {.type = DATA_TEXT_MULTI, .required = true, .var = "motd", .label = "Message of the day"},
    {.var = NULL}};

static struct jid *domain_of(const struct command_call *call)
{
    return sm_domain(call->sm, call->domain);
}

/* Section 4.23 */
static void run_announce(struct command_call *call)
{
    char *subject = data_form_text(&call->form, "subject");
    char *body = data_form_text(&call->form, "announcement");
    struct stanza *message = announcement_create(call->domain, subject, body);
    if (announce_online(call->sm, domain_of(call), message))
        command_done(call, "The announcement is on its way.");
    else
        command_refuse(call, STANZA_ERR_RESOURCE_CONSTRAINT);
    stanza_unref(message);
    free(subject);
    free(body);
}

static void set_motd(struct command_call *call, bool online)
{
    char *body = data_form_text(&call->form, "motd");
    struct stanza *message = announcement_create(call->domain, NULL, body);
    change_motd(call->sm, domain_of(call), message, online, call, NULL);
    free(body);
}

/* Section 4.24: a new one, which those who are online see at once. */
static void run_set_motd(struct command_call *call)
{
    set_motd(call, true);
}

/* Section 4.25 */
static void run_edit_motd(struct command_call *call)
{
    set_motd(call, false);
}

static void fill_motd(struct command_call *call, struct builder *b)
{
    const struct motd *m = find(call->sm, call->domain);
    stanza_el body =
        m ? stanza_child(m->message, STANZA_ROOT, STR("body"), NS_CLIENT) : STANZA_NONE;
    struct str text = body == STANZA_NONE ? STR_NULL : stanza_text(m->message, body);
    data_form_add(b, motd_fields, false, &text, 1);
}

/* Section 4.26 */
static void run_delete_motd(struct command_call *call)
{
    if (find(call->sm, call->domain))
        change_motd(call->sm, domain_of(call), NULL, false, call, NULL);
    else
        command_fail(call, "There is no message of the day.");
}

static const struct command commands[] = {
    {.node = "announce",
     .name = "Send Announcement to Online Users",
     .instructions = "Everybody who is online gets it now.",
     .fields = announce_fields,
     .run = run_announce},
    {.node = "set-motd",
     .name = "Set Message of the Day",
     .instructions = "Everybody online sees it now, everybody else at the next login.",
     .fields = motd_fields,
     .run = run_set_motd},
    {.node = "edit-motd",
     .name = "Edit Message of the Day",
     .instructions = "Everybody sees it at the next login.",
     .fields = motd_fields,
     .fill = fill_motd,
     .run = run_edit_motd},
    {.node = "delete-motd", .name = "Delete Message of the Day", .run = run_delete_motd},
    {.node = NULL}};

/* --- life --- */

static enum path_result at_start(struct path_event *e)
{
    struct announce_state *as = MEM_NEW(struct announce_state);
    list_init(&as->motds);
    broadcasts_init(&as->broadcasts);
    e->sm->state[FEATURE_announcements] = as;
    motd_list(e->sm->store, on_loaded, e->sm);
    return PATH_PASS;
}

static enum path_result at_stop(struct path_event *e)
{
    struct announce_state *as = state_of(e->sm);
    if (!as)
        return PATH_PASS;
    while (!list_empty(&as->motds))
        drop(LIST_ENTRY(as->motds.next, struct motd, node));
    broadcasts_finish(&as->broadcasts);
    free(as);
    e->sm->state[FEATURE_announcements] = NULL;
    return PATH_PASS;
}

const struct feature announcements_feature = {
    .name = "announcements",
    .control = control,
    .at = {[PATH_START] = at_start,
           [PATH_STOP] = at_stop,
           [PATH_DOMAIN_MESSAGE] = at_domain_message,
           [PATH_INTERNAL] = at_internal,
           [PATH_SESSION_AVAILABLE] = at_available},
    .commands = commands,
};
