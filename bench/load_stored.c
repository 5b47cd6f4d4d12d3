/* offline and mam: messages that the server keeps. */
#include "load.h"

#include <stdio.h>
#include <string.h>

/* Ten senders, each writes to its share of the absent users (who come behind them in the
 * numbering). */
static void send_offline(struct load *l, int senders, int users)
{
    const struct options *o = &l->options;

    for (int n = 0; n < o->each; n++) {
        for (int u = 0; u < users; u++)
            session_printf(&l->sessions[u % senders],
                           "<message to='%s%d@%s' type='chat' id='o%d'><body>" BODY
                           "</body></message>",
                           o->prefix, senders + u, o->domain, n);
        for (int i = 0; i < senders; i++)
            session_flush(&l->sessions[i]);
        load_pump(l, 0);
    }
}

void command_offline(struct load *l)
{
    int senders = 10, users = l->options.count;
    uint64_t messages = (uint64_t)users * (uint64_t)l->options.each, before, stored, bound, back;
    double start = cost_clock(), end;

    sessions_make(l, senders + users);
    sessions_login(l, 0, senders, 0);
    send_all(l, 0, senders, "<presence/>");
    before = settle(l);
    send_offline(l, senders, users);
    stored = settle(l);
    end = cost_clock();
    sessions_login(l, senders, senders + users, senders);
    bound = settle(l);
    for (int i = senders; i < senders + users; i++) {
        l->sessions[i].received = 0;
        l->sessions[i].on_stanza = count_message;
        session_write(&l->sessions[i], "<presence/>", 11);
        session_flush(&l->sessions[i]);
    }
    for (int i = 0; i < senders; i++)
        l->sessions[i].received = 0;
    PUMP_UNTIL(l, delivered(l) >= messages);
    back = settle(l);
    printf("{\"us_per_stored\": %.3f, \"us_per_delivered\": %.3f, \"units\": %llu, \"seconds\": "
           "%.2f}\n",
           (double)(stored - before) / 1000.0 / (double)messages,
           (double)(back - bound) / 1000.0 / (double)messages, (unsigned long long)messages,
           end - start);
}

/* ---- mam: pages of the archive, from the newest on, each behind the last ---- */

enum { PAGE = 50 };

struct reader {
    struct session *s;
    uint64_t pages, messages;
    char oldest[200]; /* the first of the page that came last: the next one ends before it */
};
static struct reader reader;

static void take_page(struct session *s, const char *xml, size_t len)
{
    const char *first, *end;

    if (len > 8 && memcmp(xml, "<message", 8) == 0) {
        reader.messages++;
        return;
    }
    if (len < 4 || memcmp(xml, "<iq", 3) != 0)
        return;
    first = memmem(xml, len, "<first", 6);
    first = first ? memchr(first, '>', (size_t)(xml + len - first)) : NULL;
    end = first ? memchr(first, '<', (size_t)(xml + len - first)) : NULL;
    if (!end || (size_t)(end - first) > sizeof(reader.oldest) ||
        reader.messages != (reader.pages + 1) * PAGE)
        die("a query of the archive was not answered with a page of 50");
    memcpy(reader.oldest, first + 1, (size_t)(end - first - 1));
    reader.oldest[end - first - 1] = '\0';
    reader.pages++;
}

static void read_page(struct load *l)
{
    uint64_t due = reader.pages + 1;

    session_printf(reader.s,
                   "<iq type='set' id='p%llu'><query xmlns='urn:xmpp:mam:2'>"
                   "<set xmlns='http://jabber.org/protocol/rsm'><max>%d</max><before>%s</before>"
                   "</set></query></iq>",
                   (unsigned long long)due, PAGE, reader.oldest);
    session_flush(reader.s);
    PUMP_UNTIL(l, reader.pages == due);
}

void command_mam(struct load *l)
{
    uint64_t ns;
    double start;

    sessions_make(l, 1);
    sessions_login(l, 0, 1, 0);
    reader.s = &l->sessions[0];
    reader.s->on_stanza = take_page;
    read_page(l); /* what is loaded once */
    ns = settle(l);
    start = cost_clock();
    while (reader.pages <= (uint64_t)l->options.count &&
           (reader.pages < 4 || cost_clock() - start < l->options.seconds))
        read_page(l);
    print_cost("us_per_page", cost_cpu_ns(&l->options) - ns, reader.pages - 1,
               cost_clock() - start);
}
