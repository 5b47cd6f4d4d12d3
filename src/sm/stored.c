/* What we wrote ourselves is parsed within wide bounds: the client's own were kept when it came. */
#include "sm/stored.h"

#include "base/mem.h"

struct stanza *stored_parse(struct parser_pool *pool, struct str xml)
{
    static const struct parser_limits limits = {.stanza_bytes = 1u << 25,
                                                .depth = 512,
                                                .attributes = 2048,
                                                .namespaces = UINT32_MAX,
                                                .children = 1u << 20};
    enum parser_status status;
    return parser_document(pool, xml, &limits, &status);
}

struct str stored_text(const struct stanza *s)
{
    struct stanza_stamp stamp = {.xmlns = stanza_ns(s, STANZA_ROOT)};
    char *text = mem_alloc(stanza_write_size(s, &stamp));
    size_t len = stanza_write_to(s, &stamp, text);
    return (struct str){text, len};
}
