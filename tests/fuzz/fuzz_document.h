/* What fuzzers of document readers share: the input is parsed as one document, and each of its
 * first elements given to `check`, the fuzzer's own, which aborts where a promise is broken. */
#ifndef JACKDAW_FUZZ_DOCUMENT_H
#define JACKDAW_FUZZ_DOCUMENT_H

#include <stdint.h>
#include <stdlib.h>

#include "base/random.h"
#include "xml/parser.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct stanza *s, stanza_el el);

static void must(bool condition)
{
    if (!condition)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct parser_limits limits = {1 << 20, 0, 1000, 1000, 1000, 100000};
    struct random *random = random_create_seeded(1);
    struct parser_pool *pool = parser_pool_create(random);
    enum parser_status status;
    struct stanza *s =
        parser_document(pool, (struct str){(const char *)data, size}, &limits, &status);
    for (stanza_el el = 0; s && el < stanza_count(s) && el < 100; el++)
        check(s, el);
    stanza_unref(s);
    parser_pool_destroy(pool);
    random_destroy(random);
    return 0;
}

#endif
