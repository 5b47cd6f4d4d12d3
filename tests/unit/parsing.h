/* A pool of parsers for tests that read documents: what cmocka sets up and tears down, reading, and
 * comparing. */
#ifndef JACKDAW_TESTS_PARSING_H
#define JACKDAW_TESTS_PARSING_H

#include "unit.h"

#include "base/random.h"
#include "xml/parser.h"

static struct {
    struct random *random;
    struct parser_pool *pool;
} parsing;

static inline int parsing_set_up(void **state)
{
    parsing.random = random_create_seeded(1);
    parsing.pool = parser_pool_create(parsing.random);
    return 0;
}

static inline int parsing_tear_down(void **state)
{
    parser_pool_destroy(parsing.pool);
    random_destroy(parsing.random);
    return 0;
}

/* A document that is right; the caller unrefs it. */
static inline struct stanza *parsing_read(struct str xml)
{
    static const struct parser_limits limits = {1 << 20, 0, 1000, 1000, 1000, 100000};
    enum parser_status status = PARSER_OK;
    struct stanza *s = parser_document(parsing.pool, xml, &limits, &status);
    if (!s)
        fail_msg("not XML (%d): %.*s", (int)status, STR_ARG(xml));
    assert_int_equal(status, PARSER_OK);
    return s;
}

static inline void assert_str(struct str got, const char *expected)
{
    assert_non_null(got.data);
    if (!str_is(got, expected))
        fail_msg("got \"%.*s\", expected \"%s\"", STR_ARG(got), expected);
}

#endif
