/* A document -> canonical bytes -> parsed again: bytes and index must not change any more; nor by a
 * way through the builder's copies or stanza_extract. */
#include <stdio.h>
#include <stdlib.h>
#include "stanza_same.h"
#include "xml/builder.h"
#include "xml/parser.h"

static const struct parser_limits limits = {1 << 20, 0, 200, 200, 200, 20000};

static void require(bool right, const char *what, const struct stanza *s)
{
    if (!right) {
        fprintf(stderr, "%s: %.*s\n", what, (int)stanza_size(s), s ? stanza_inner(s, 0).data : "");
        abort();
    }
}

/* Written out as a document of its own and read back. */
static void check_again(struct parser_pool *pool, const struct stanza *s)
{
    struct stanza_stamp stamp = {.xmlns = stanza_ns(s, STANZA_ROOT)};
    struct buffer out;
    buffer_init(&out, 1 << 26);
    require(stanza_write(s, &stamp, &out), "not written", s);
    require(buffer_len(&out) == stanza_write_size(s, &stamp), "wrong size", s);
    enum parser_status status = PARSER_OK;
    struct stanza *again = parser_document(pool, buffer_str(&out), &limits, &status);
    require(again != NULL, "own output refused", s);
    require(stanza_same(s, again), "changed by reading its own output", s);
    stanza_unref(again);
    buffer_finish(&out);
}

static void check_copies(const struct stanza *s)
{
    struct str ns = stanza_ns(s, STANZA_ROOT);
    struct builder *b = builder_create(STR("outer"), ns);
    builder_text(b, STR("before"));
    builder_copy(b, s, STANZA_ROOT);
    builder_start(b, STR("inner"), STR("urn:other"));
    builder_copy_inner(b, s, STANZA_ROOT);
    builder_end(b);
    builder_text(b, STR("<"));
    builder_copy_inner(b, s, STANZA_ROOT);
    struct stanza *outer = builder_finish(b);
    struct stanza *copy = stanza_extract(outer, 1);
    require(stanza_same(s, copy), "changed by copies", s);
    stanza_unref(copy);

    struct str name = stanza_name(s, STANZA_ROOT);
    b = builder_create(name, ns);
    for (uint32_t i = stanza_attr_count(s, STANZA_ROOT); i > 0; i--) {
        struct str attr, attr_ns, value;
        stanza_attr_at(s, STANZA_ROOT, i - 1, &attr, &attr_ns, &value);
        builder_attr_ns(b, attr, attr_ns, value);
    }
    stanza_el inner = stanza_next(outer, 1);
    builder_copy_inner(b, outer, inner);
    copy = builder_finish(b);
    require(str_eq(stanza_inner(s, STANZA_ROOT), stanza_inner(copy, STANZA_ROOT)) &&
                stanza_size(s) == stanza_size(copy) && stanza_count(s) == stanza_count(copy),
            "changed by a copy in another namespace", s);
    for (stanza_el el = 1; el < stanza_count(s); el++)
        require(stanza_same_element(s, copy, el), "element changed by copies", s);
    stanza_unref(copy);
    stanza_unref(outer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct random *random = random_create_seeded(size);
    struct parser_pool *pool = parser_pool_create(random);
    enum parser_status status = PARSER_OK;
    struct stanza *s =
        parser_document(pool, (struct str){(const char *)data, size}, &limits, &status);
    if (s) {
        check_again(pool, s);
        check_copies(s);
        for (stanza_el el = 0; el < stanza_count(s) && el < 8; el++) {
            struct stanza *part = stanza_extract(s, el);
            check_again(pool, part);
            stanza_unref(part);
        }
    }
    stanza_unref(s);
    parser_pool_destroy(pool);
    random_destroy(random);
    return 0;
}
