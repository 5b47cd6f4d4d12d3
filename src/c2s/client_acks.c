/* Client acks: see client_acks.h. Sections are those of XEP-0198. */
#include "c2s/client_acks.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "c2s/client_sasl2.h"
#include "link/traits.h"
#include "xmpp/namespaces.h"

#define LOCATION_MAX   261u    /* bytes of a domain and a port: `jackdaw check` tells */
#define ACKS_UNASKED   32u     /* handled stanzas after which the client is told unasked */
#define ACKS_MAX       500u    /* unhandled ones, after which the client is not read */
#define ACKS_MAX_BYTES 524288u /* likewise */

static void later(struct client_acks *acks)
{
    struct c2s *s = acks->client->c2s;

    if (list_empty(&acks->node))
        list_push(&s->acking, &acks->node);
    loop_defer(c2s_loop(s), &s->acks_task, LOOP_PACKETS);
}

static void tell(struct client *c)
{
    struct client_acks *acks = c->acks;
    struct buffer out;

    acks->told = unhandled_h(&acks->in);
    acks->owed = acks->in.count > 0;
    buffer_init(&out, 64);
    buffer_printf(&out, "<a xmlns='urn:xmpp:sm:3' h='%" PRIu32 "'/>", acks->told);
    client_write_buffer(c, &out);
}

static void ask(struct client *c)
{
    c->acks->ask = false;
    c->acks->asked = true;
    client_write(c, STR("<r xmlns='urn:xmpp:sm:3'/>"));
}

/* Section 5 */
void client_acks_write_failed(struct buffer *out, struct str condition, const uint32_t *h)
{
    buffer_add_str(out, STR("<failed xmlns='urn:xmpp:sm:3'"));
    if (h)
        buffer_printf(out, " h='%" PRIu32 "'", *h);
    buffer_printf(out, "><%.*s xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>",
                  STR_ARG(condition));
}

static void fail(struct client *c, struct str condition, const uint32_t *h)
{
    struct buffer out;

    buffer_init(&out, 256);
    client_acks_write_failed(&out, condition, h);
    client_write_buffer(c, &out);
}

/* --- what we sent --- */

static void push(struct client_acks *acks, const struct receipt *r)
{
    struct client_sent *sent;

    if (acks->waiting == acks->room) {
        uint32_t room = acks->room ? 2 * acks->room : 16;
        struct client_sent *ring = mem_alloc_array(room, sizeof(*ring));
        for (uint32_t i = 0; i < acks->waiting; i++)
            ring[i] = acks->sent[(acks->first + i) % acks->room];
        free(acks->sent);
        acks->sent = ring;
        acks->room = room;
        acks->first = 0;
    }
    sent = &acks->sent[(acks->first + acks->waiting++) % acks->room];
    sent->number = r->number;
    sent->origin = r->number ? jid_ref(r->origin) : NULL;
}

static struct client_sent pop(struct client_acks *acks)
{
    struct client_sent sent = acks->sent[acks->first];

    acks->first = (acks->first + 1) % acks->room;
    acks->waiting--;
    return sent;
}

void client_acks_wrote(struct client *c, const struct packet *p)
{
    struct client_acks *acks = c->acks;

    push(acks, &p->receipt);
    if (acks->asked)
        return;
    acks->ask = true;
    later(acks);
}

/* Section 6 */
static void too_high(struct client *c, uint32_t h, uint32_t count)
{
    struct buffer app, text;

    buffer_init(&app, 256);
    buffer_init(&text, 256);
    buffer_printf(&app,
                  "<handled-count-too-high xmlns='urn:xmpp:sm:3' h='%" PRIu32
                  "' send-count='%" PRIu32 "'/>",
                  h, count);
    buffer_printf(&text, "you acknowledge %" PRIu32 " stanzas, but only %" PRIu32 " were sent", h,
                  count);
    buffer_add_char(&text, '\0');
    client_error_app(c, STREAM_ERR_UNDEFINED_CONDITION, buffer_str(&text).data, buffer_str(&app));
    buffer_finish(&app);
    buffer_finish(&text);
}

static bool read_h(const struct stanza *s, stanza_el el, uint32_t *ret)
{
    uint64_t h;

    if (!str_to_u64(stanza_attr(s, el, STR("h")), UINT32_MAX, &h))
        return false;
    *ret = (uint32_t)h;
    return true;
}

/* Section 4, modulo 2^32. */
static void on_ack(struct client *c, const struct stanza *s)
{
    struct client_acks *acks = c->acks;
    uint32_t h, count;

    if (!read_h(s, STANZA_ROOT, &h)) {
        client_error(c, STREAM_ERR_BAD_FORMAT, "an <a/> needs an h, a number of 32 bits");
        return;
    }
    count = h - acks->acked;
    if (count > acks->waiting) {
        too_high(c, h, acks->acked + acks->waiting);
        return;
    }
    acks->asked = false;
    acks->acked = h;
    for (uint32_t i = 0; i < count; i++) {
        struct client_sent sent = pop(acks);
        if (sent.number)
            receipts_handled(c->c2s->receipts, sent.origin, sent.number);
        jid_unref(sent.origin);
    }
    if (acks->waiting > 0 && count > 0) {
        acks->ask = true;
        later(acks);
    }
}

void client_acks_ping(struct client *c)
{
    ask(c);
}

/* --- what it sends --- */

void client_acks_open(struct client *c)
{
    if (client_acks_on(c))
        c->acks->stanza = unhandled_open(&c->acks->in);
}

void client_acks_close(struct client *c)
{
    struct client_acks *acks = c->acks;

    /* An answer that is still to come (registration) closes it later. */
    if (!acks || !acks->stanza || c->paused & CLIENT_PAUSE_BUSY)
        return;
    unhandled_close(acks->stanza);
    acks->stanza = NULL;
    if (acks->owed)
        later(acks);
    if (acks->in.count > ACKS_MAX || acks->in.bytes > ACKS_MAX_BYTES)
        client_pause(c, CLIENT_PAUSE_ACKS);
}

void client_acks_sending(struct client *c, struct packet *p)
{
    if (c->acks && c->acks->stanza)
        unhandled_send(c->acks->stanza, p);
}

void client_acks_handled(void *owner, uint64_t number)
{
    struct c2s *s = owner;
    struct unhandled *in = unhandled_receipt(&s->unhandled, number);
    struct client_acks *acks = in ? MEM_CONTAINER(in, struct client_acks, in) : NULL;

    if (!acks)
        return;
    if (in->count <= ACKS_MAX / 2 && in->bytes <= ACKS_MAX_BYTES / 2)
        client_resume(acks->client, CLIENT_PAUSE_ACKS);
    later(acks);
}

/* At the end of a turn: what was handled meanwhile is told at once, what was written is asked for.
 */
void client_acks_run(struct loop_task *task)
{
    struct c2s *s = MEM_CONTAINER(task, struct c2s, acks_task);
    struct list *node;

    while ((node = list_pop(&s->acking)) != NULL) {
        struct client_acks *acks = LIST_ENTRY(node, struct client_acks, node);
        uint32_t news = unhandled_h(&acks->in) - acks->told;
        if (news > 0 && (acks->owed || news >= ACKS_UNASKED))
            tell(acks->client);
        if (acks->ask)
            ask(acks->client);
    }
}

static void send_again(void *arg, struct packet *p)
{
    client_session_post(arg, p);
}

void client_acks_repeat(struct client *c)
{
    if (client_acks_on(c))
        unhandled_repeat(&c->acks->in, send_again, c);
}

/* --- beginning --- */

struct str client_acks_mark(const struct c2s *s, struct str bare, const unsigned char *device,
                            char out[CLIENT_ACKS_MARK])
{
    out[0] = 'd';
    if (device)
        client_bind2_keyed(s, "stream", device, bare, out + 1);
    return (struct str){out, device ? CLIENT_ACKS_MARK : 1};
}

static struct client_acks *create(struct client *c, enum client_acks_state state)
{
    struct client_acks *acks = MEM_NEW(struct client_acks);

    acks->client = c;
    acks->state = state;
    list_init(&acks->node);
    unhandled_init(&acks->in, &c->c2s->unhandled, 0);
    c->acks = acks;
    return acks;
}

void client_acks_prepare(struct client *c, const struct stanza *s, stanza_el enable)
{
    const struct config *config = c2s_config(c->c2s);
    struct client_acks *acks = create(c, CLIENT_ACKS_ASKED);
    uint64_t wish;

    if (sasl2_true(stanza_attr(s, enable, STR("resume"))) && !c->anonymous) {
        acks->max = (uint32_t)config->c2s_resume_time;
        if (str_to_u64(stanza_attr(s, enable, STR("max")), UINT32_MAX, &wish) && wish > 0 &&
            wish < acks->max)
            acks->max = (uint32_t)wish;
    }
    if (c->has_device)
        (void)client_acks_mark(c->c2s, jid_bare(c->jid), c->device, acks->id);
    else
        random_token(c->c2s->component->env->random, acks->id, CLIENT_ACKS_MARK);
    acks->id[0] = c->has_device ? 'd' : 'n';
    random_token(c->c2s->component->env->random, acks->id + CLIENT_ACKS_MARK, CLIENT_ACKS_RANDOM);
}

/* Section 3 */
static void on_enable(struct client *c, const struct stanza *s)
{
    if (c->acks) { /* "SHOULD respond with a stream error" */
        client_error(c, STREAM_ERR_POLICY_VIOLATION, "stream management is enabled already");
        return;
    }
    if (!c->sm_counts) { /* a session manager of jabberd2 */
        fail(c, STR("feature-not-implemented"), NULL);
        return;
    }
    client_acks_prepare(c, s, STANZA_ROOT);
    client_pause(c, CLIENT_PAUSE_BUSY);
    client_session_enable(c);
}

void client_acks_write_enabled(struct client *c, struct buffer *out)
{
    struct client_acks *acks = c->acks;
    const char *location = c2s_config(c->c2s)->c2s_resume_location;

    acks->state = CLIENT_ACKS_ON;
    buffer_add_str(out, STR("<enabled xmlns='urn:xmpp:sm:3'"));
    if (acks->max)
        buffer_printf(out, " resume='true' id='%s' max='%" PRIu32 "'", acks->id, acks->max);
    /* Every c2s has its own; the session waits for all of them. */
    if (acks->max && *location && strlen(location) <= LOCATION_MAX)
        builder_write_attr(out, "location", str_of(location));
    buffer_add_str(out, STR("/>"));
}

void client_acks_enabled(struct client *c)
{
    struct buffer out;

    if (!c->acks || c->acks->state != CLIENT_ACKS_ASKED)
        return;
    buffer_init(&out, 2048);
    client_acks_write_enabled(c, &out);
    client_write_buffer(c, &out);
    client_resume(c, CLIENT_PAUSE_BUSY);
    client_stream_continue(c);
}

struct str client_acks_text(const struct client *c, char *out)
{
    const struct client_acks *acks = c->acks;
    int len = snprintf(out, CLIENT_ACKS_TEXT, "%" PRIu32 " %s %" PRIu32 " %" PRIu32, acks->max,
                       acks->id, unhandled_h(&acks->in), acks->acked + acks->waiting);

    return (struct str){out, (size_t)len};
}

/* --- resumption: section 5 --- */

struct str client_acks_resume(struct client *c, const struct stanza *s, stanza_el resume)
{
    struct str id = stanza_attr(s, resume, STR("previd"));
    struct client_acks *acks;
    uint32_t h;

    if (!c2s_config(c->c2s)->c2s_acks || c2s_config(c->c2s)->c2s_resume_time == 0)
        return STR("feature-not-implemented");
    if (!read_h(s, resume, &h) || !id.len)
        return STR("bad-request");
    if (id.len >= sizeof(acks->id) || memchr(id.data, ' ', id.len)) /* none of ours */
        return STR("item-not-found");
    acks = create(c, CLIENT_ACKS_RESUMING);
    memcpy(acks->id, id.data, id.len);
    acks->resume_h = h;
    client_set_state(c, STREAM_BINDING, "resumption asked");
    client_pause(c, CLIENT_PAUSE_BUSY);
    client_session_start(c);
    return STR_NULL;
}

static void on_resume(struct client *c, const struct stanza *s)
{
    struct str condition = c->state == STREAM_UNBOUND ? client_acks_resume(c, s, STANZA_ROOT)
                                                      : STR("unexpected-request");

    if (condition.data)
        fail(c, condition, NULL);
}

void client_acks_resumed(struct client *c, const struct packet *p)
{
    struct client_acks *acks = c->acks;
    struct str rest = p->reason, word;
    uint64_t h = 0, max = 0;
    struct buffer out;

    if (str_split(&rest, ' ', &word))
        (void)str_to_u64(word, UINT32_MAX, &h);
    if (str_split(&rest, ' ', &word))
        (void)str_to_u64(word, UINT32_MAX, &max);
    c->traits = (uint8_t)traits_take(&rest);
    acks->state = CLIENT_ACKS_ON;
    acks->max = (uint32_t)max;
    acks->acked = acks->resume_h;
    acks->told = (uint32_t)h;
    unhandled_init(&acks->in, &c->c2s->unhandled, (uint32_t)h);
    jid_unref(c->jid);
    c->jid = jid_ref(p->target);
    buffer_init(&out, 512);
    buffer_printf(&out, "<resumed xmlns='urn:xmpp:sm:3' h='%" PRIu32 "' previd='%s'/>", (uint32_t)h,
                  acks->id);
    if (client_bind2_on(c)) { /* section 9.2: no features behind it */
        client_sasl2_succeed(c, buffer_str(&out), false);
        buffer_finish(&out);
    } else {
        client_write_buffer(c, &out);
    }
    client_bound(c, "session resumed");
}

void client_acks_not_resumed(struct client *c, struct str reason)
{
    struct str word = STR_NULL, condition = STR("item-not-found");
    uint32_t h = 0, mine = c->acks->resume_h;
    uint64_t number;
    bool known = str_split(&reason, ' ', &word) && str_to_u64(reason, UINT32_MAX, &number);

    if (known)
        h = (uint32_t)number;
    if (known && str_is(word, "too-high")) {
        too_high(c, mine, h);
        return;
    }
    client_acks_end(c);
    if (client_bind2_on(c)) {
        client_bind2_not_resumed(c, condition, known ? &h : NULL);
    } else {
        client_set_state(c, STREAM_UNBOUND, "nothing to resume");
        fail(c, condition, known ? &h : NULL);
        client_resume(c, CLIENT_PAUSE_BUSY);
    }
    client_stream_continue(c);
}

/* --- elements --- */

void client_acks_element(struct client *c, struct stanza *s)
{
    struct str name = stanza_name(s, STANZA_ROOT);
    bool enable = str_is(name, "enable");

    if (str_is(name, "resume"))
        on_resume(c, s);
    else if (enable && c->state == STREAM_BOUND && c2s_config(c->c2s)->c2s_acks)
        on_enable(c, s);
    else if (enable || !client_acks_on(c)) /* sections 3 and 6 */
        fail(c, STR("unexpected-request"), NULL);
    else if (str_is(name, "r"))
        tell(c); /* section 4: at once */
    else if (str_is(name, "a"))
        on_ack(c, s);
    else
        client_error(c, STREAM_ERR_UNSUPPORTED_STANZA_TYPE, NULL);
    stanza_unref(s);
}

/* --- end --- */

void client_acks_end(struct client *c)
{
    struct client_acks *acks = c->acks;

    if (!acks)
        return;
    /* What it did not acknowledge may come again, by another stream or to other clients of ours. */
    while (acks->waiting > 0) {
        struct client_sent sent = pop(acks);
        if (sent.number)
            receipts_forget(c->c2s->receipts, sent.origin, sent.number);
        jid_unref(sent.origin);
    }
    unhandled_finish(&acks->in);
    list_remove(&acks->node);
    free(acks->sent);
    free(acks);
    c->acks = NULL;
}
