/* message, carbons and ping: what goes to and fro between live sessions. */
#include "load.h"

#include <string.h>

enum { DEVICES = 3 };

static void send_message(struct session *s)
{
    static const char raw[RAW_MESSAGE];

    s->sent++;
    if (s->load->options.raw)
        session_write(s, raw, RAW_MESSAGE);
    else
        session_printf(
            s, "<message to='%s%d@%s/r0' type='chat' id='m%llu'><body>" BODY "</body></message>",
            s->load->options.prefix, s->peer->who.user, session_domain(s->peer),
            (unsigned long long)s->sent);
}

static void answer_message(struct session *s, const char *xml, size_t len)
{
    if (!xml) { /* raw: bytes are counted, messages follow */
        while (s->sent < s->received / RAW_MESSAGE)
            send_message(s);
    } else if (len > 8 && memcmp(xml, "<message", 8) == 0) {
        s->received++;
        if (!s->load->stopped)
            send_message(s);
    }
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

/* The pairs are the first sessions. */
static void exchange(struct load *l)
{
    int pairs = l->options.count;

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
    measure_flow(l, "us_per_message");
}

void command_message(struct load *l)
{
    int users = l->options.count * 2;

    sessions_make(l, users + l->options.crowd);
    sessions_login(l, 0, users, 0);
    if (l->options.crowd) {
        sessions_name(l, users, l->session_count, users, 1, l->options.users - users, 0);
        sessions_open(l, users, l->session_count, l->options.at_once);
        send_all(l, users, l->session_count, "<presence/>");
    }
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
void command_carbons(struct load *l)
{
    int pairs = l->options.count, users = pairs * 2;

    sessions_make(l, users + pairs * DEVICES);
    sessions_login(l, 0, users, 0);
    sessions_name(l, users, l->session_count, 1, 2, pairs, 1);
    sessions_open(l, users, l->session_count, l->options.at_once);
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

void command_ping(struct load *l)
{
    sessions_make(l, l->options.count);
    sessions_login(l, 0, l->options.count, 0);
    send_all(l, 0, l->options.count, "<presence/>");
    for (int i = 0; i < l->options.count; i++) {
        l->sessions[i].received = 0;
        l->sessions[i].on_stanza = answer_pong;
        send_ping(&l->sessions[i]);
        session_flush(&l->sessions[i]);
    }
    measure_flow(l, "us_per_ping");
}
