/* Frames: no bytes make frame_read or frame_open crash; a sealed packet leaves as it came; what was
 * opened reads back as the same, and is well-formed XML for those who know no frames. */
#include <stdint.h>
#include <stdlib.h>

#include "base/mem.h"
#include "link/frame.h"
#include "link/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct parser_limits limits = {.stanza_bytes = 1 << 24,
                                            .depth = 300,
                                            .attributes = 2000,
                                            .namespaces = 2000,
                                            .children = 1000000};

static struct str write_frame(const struct packet *p)
{
    size_t size = frame_size(p);
    char *space = mem_alloc(size);
    size_t len = frame_write(p, space);

    if (len > size)
        abort();
    return (struct str){space, len};
}

static void check_xml(struct parser_pool *pool, const struct packet *p)
{
    size_t size = wire_size(p);
    char *space = mem_alloc(size + 1);
    size_t len = wire_write(p, space);
    enum parser_status status;
    struct stanza *s;

    if (len > size)
        abort();
    s = parser_document(pool, (struct str){space, len}, &limits, &status);
    if (!s)
        abort();
    stanza_unref(s);
    free(space);
}

static void check_opened(struct parser_pool *pool, struct packet *p)
{
    const char *why;
    struct str first = write_frame(p), second;
    struct packet *again = frame_read(first, pool, &why);

    if (!again || !frame_open(again, pool))
        abort();
    second = write_frame(again);
    if (!str_eq(first, second))
        abort();
    check_xml(pool, again);
    packet_destroy(again);
    free((char *)first.data);
    free((char *)second.data);
}

/* The first four bytes are the length: it is put right, or hardly any input would get further. */
static struct str frame_of(const uint8_t *data, size_t size)
{
    char *frame = mem_alloc(size + FRAME_PREFIX);

    for (unsigned i = 0; i < FRAME_PREFIX; i++)
        frame[i] = (char)(size >> (24 - 8 * i));
    if (size)
        memcpy(frame + FRAME_PREFIX, data, size);
    return (struct str){frame, size + FRAME_PREFIX};
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct random *random = random_create_seeded(1);
    struct parser_pool *pool = parser_pool_create(random);
    struct str frame = frame_of(data, size), condition, text;
    const char *why;
    struct packet *p;

    if (frame_is_goodbye(frame))
        (void)frame_read_goodbye(frame, &condition, &text);
    p = frame_read(frame, pool, &why);
    if (p && p->sealed.data) {
        struct str sent_on = write_frame(p);
        if (!str_eq(frame, sent_on))
            abort();
        free((char *)sent_on.data);
    }
    if (p && frame_open(p, pool))
        check_opened(pool, p);
    packet_destroy(p);
    free((char *)frame.data);
    parser_pool_destroy(pool);
    random_destroy(random);
    return 0;
}
