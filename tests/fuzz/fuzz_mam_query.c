/* Queries to an archive: whatever a client asks, what is accepted is within its bounds and can be
 * read to the end. */
#include "fuzz_document.h"
#include "xmpp/mam_query.h"

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
