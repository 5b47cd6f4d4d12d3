/* The component protocol: no element makes wire_parse crash, what it makes can be written within
 * wire_size, and what is written reads back as the same bytes. */
#include <stdint.h>
#include <stdlib.h>

#include "base/mem.h"
#include "link/wire.h"
#include "xml/parser.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct parser_limits limits = {
    .stanza_bytes = 100000, .depth = 64, .attributes = 64, .namespaces = 64, .children = 1000};

static struct packet *read_packet(struct parser_pool *pool, struct str xml)
{
    enum parser_status status;
    struct stanza *s = parser_document(pool, xml, &limits, &status);
    const char *why = NULL;
    struct packet *p = s ? wire_parse(s, &why) : NULL;

    stanza_unref(s);
    return p;
}

/* Copied as well: a log copy must say the same. */
static struct str write_packet(const struct packet *p, char **ret_space)
{
    struct packet *copy = packet_copy(p);
    size_t size = wire_size(copy);
    size_t len;

    *ret_space = mem_alloc(size + 1);
    len = wire_write(copy, *ret_space);
    if (len > size)
        abort();
    packet_destroy(copy);
    return (struct str){*ret_space, len};
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct random *random = random_create_seeded(1);
    struct parser_pool *pool = parser_pool_create(random);
    struct packet *p = read_packet(pool, (struct str){(const char *)data, size}), *again;
    char *space, *space_again;
    struct str first, second;

    if (p) {
        first = write_packet(p, &space);
        again = read_packet(pool, first);
        if (!again)
            abort();
        second = write_packet(again, &space_again);
        if (!str_eq(first, second))
            abort();
        free(space);
        free(space_again);
        packet_destroy(p);
        packet_destroy(again);
    }
    parser_pool_destroy(pool);
    random_destroy(random);
    return 0;
}
