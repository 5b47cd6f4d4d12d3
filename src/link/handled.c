/* Handled: see handled.h. */
#include "link/handled.h"

#include <inttypes.h>

#include "base/buffer.h"
#include "xml/builder.h"
#include "xmpp/namespaces.h"

#define HANDLED_MOST 1000000u
#define NUMBER_CHARS 21 /* of the longest, and what stands before it */

struct packet *handled_create(struct str to, struct str from, const uint64_t *numbers, size_t count)
{
    struct packet *p = packet_create(PACKET_STANZA, to, from);
    struct builder *b = builder_create(STR("handled"), NS_RECEIPTS);
    struct buffer text;

    buffer_init(&text, count * NUMBER_CHARS + 1);
    for (size_t i = 0, end; i < count; i = end) {
        for (end = i + 1; end < count && numbers[end] == numbers[end - 1] + 1;)
            end++;
        buffer_printf(&text, i ? " %" PRIu64 : "%" PRIu64, numbers[i]);
        if (end - i > 1)
            buffer_printf(&text, "-%" PRIu64, numbers[end - 1]);
    }
    builder_text(b, buffer_str(&text));
    buffer_finish(&text);
    p->stanza = builder_finish(b);
    return p;
}

bool handled_is(const struct packet *p)
{
    return p->kind == PACKET_STANZA && p->stanza &&
           stanza_is(p->stanza, STANZA_ROOT, STR("handled"), NS_RECEIPTS);
}

void handled_each(const struct packet *p, void (*fn)(void *arg, uint64_t number), void *arg)
{
    struct str rest = stanza_text(p->stanza, STANZA_ROOT), range, first;
    uint32_t left = HANDLED_MOST;

    while (str_split(&rest, ' ', &range)) {
        uint64_t from, to;
        str_split(&range, '-', &first);
        if (!str_to_u64(first, UINT64_MAX - 1, &from))
            return;
        to = from;
        if (range.data && !str_to_u64(range, UINT64_MAX - 1, &to))
            return;
        for (uint64_t n = from; n <= to; n++) {
            if (left-- == 0)
                return;
            fn(arg, n);
        }
    }
}
