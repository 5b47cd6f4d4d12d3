/* Queries to an archive: whatever a client asks, what is accepted is within its bounds and can be
 * read to the end. */
#include <stdint.h>
#include <stdlib.h>

#include "base/random.h"
#include "xml/parser.h"
#include "xmpp/mam_query.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool condition)
{
    if (!condition)
        abort();
}

static void check(const struct stanza *s, stanza_el el)
{
    struct mam_query q;
    if (mam_query_read(s, el, &q) != STANZA_ERR_NONE)
        return;
    must(!q.rsm.index && !(q.rsm.after.data && q.rsm.before.data));
    must(q.id_count <= MAM_QUERY_MAX_IDS && (!q.has_ids || q.id_count > 0));
    for (size_t i = 0; i < q.id_count; i++)
        must(mam_query_id(&q, i).data != NULL);
    must(!q.words.data || q.words.len > 0);
    mam_query_finish(&q);
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
