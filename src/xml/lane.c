/* Lane: creation of an expat parser as design.md section 3 wants it, and the allocator that counts
 * for it. */
#include "xml/lane.h"
#include <stdlib.h>
#include "base/mem.h"

/* expat's allocation functions get no context. This carries it from lane_feed into them, on one
 * thread, for the length of the call: an argument in all but name, never state that outlives a
 * call. */
static _Thread_local struct lane_account *account;

/* A fresh parser takes 10 KB or so. */
enum { RECYCLED_MAX = 24 * 1024 };

/* Stands before every allocation of expat's. */
struct piece {
    struct lane_account *account;
    size_t size;
};

static bool account_take(struct lane_account *a, size_t size)
{
    if (size > a->max || a->used > a->max - size)
        return false;
    a->used += size;
    return true;
}

static void *piece_malloc(size_t size)
{
    if (!account_take(account, size))
        return NULL;
    struct piece *p = mem_realloc(NULL, sizeof *p + size);
    *p = (struct piece){account, size};
    return p + 1;
}

static void piece_free(void *data)
{
    if (data) {
        struct piece *p = (struct piece *)data - 1;
        p->account->used -= p->size;
        free(p);
    }
}

static void *piece_realloc(void *data, size_t size)
{
    if (!data)
        return piece_malloc(size);
    struct piece *p = (struct piece *)data - 1;
    if (size > p->size && !account_take(p->account, size - p->size))
        return NULL;
    if (size < p->size)
        p->account->used -= p->size - size;
    p = mem_realloc(p, sizeof *p + size);
    p->size = size;
    return p + 1;
}

/* What expat forgets in a reset. */
static void prepare(struct lane *lane, struct random *random)
{
    unsigned long salt;
    random_fill(random, &salt, sizeof salt);
    XML_SetHashSalt(lane->expat, salt);
#ifdef HAVE_EXPAT_REPARSE_DEFERRAL
    /* On, it withholds a start tag that came in two segments, until more arrives: for ever
     * (libexpat issue 840). */
    XML_SetReparseDeferralEnabled(lane->expat, XML_FALSE);
#endif
    XML_SetUserData(lane->expat, lane);
}

struct lane *lane_create(struct random *random)
{
    static const XML_Memory_Handling_Suite memory = {piece_malloc, piece_realloc, piece_free};
    static const XML_Char separator[] = {LANE_SEPARATOR, '\0'};
    struct lane *lane = MEM_NEW(struct lane);
    list_init(&lane->in_key);
    list_init(&lane->in_pool);
    block_writer_init(&lane->writer);
    buffer_init(&lane->decls, 1 << 20); /* the stream header's limit is reached long before */
    lane->account.max = SIZE_MAX;

    struct lane_account *outer = account;
    account = &lane->account;
    lane->expat = XML_ParserCreate_MM("UTF-8", &memory, separator);
    account = outer;
    prepare(lane, random);
    return lane;
}

bool lane_recycle(struct lane *lane, struct random *random)
{
    if (lane->account.used > RECYCLED_MAX)
        return false;
    lane->account.max = SIZE_MAX;
    struct lane_account *outer = account;
    account = &lane->account;
    bool done = XML_ParserReset(lane->expat, "UTF-8");
    account = outer;
    block_writer_reset(&lane->writer);
    buffer_clear(&lane->decls);
    free(lane->content_ns);
    lane->content_ns = NULL;
    lane->key = NULL;
    lane->stream = NULL;
    lane->fed = lane->mark = 0;
    lane->depth = lane->namespaces = 0;
    if (done)
        prepare(lane, random);
    return done;
}

void lane_destroy(struct lane *lane)
{
    if (lane) {
        XML_ParserFree(lane->expat);
        block_writer_finish(&lane->writer);
        buffer_finish(&lane->decls);
        free(lane->content_ns);
        free(lane);
    }
}

enum XML_Error lane_feed(struct lane *lane, const char *bytes, size_t len)
{
    struct lane_account *outer = account;
    account = &lane->account;
    lane->fed += len;
    enum XML_Status status = XML_Parse(lane->expat, bytes, (int)len, XML_FALSE);
    account = outer;
    return status == XML_STATUS_OK ? XML_ERROR_NONE : XML_GetErrorCode(lane->expat);
}

uint64_t lane_event_end(const struct lane *lane)
{
    return (uint64_t)XML_GetCurrentByteIndex(lane->expat) +
           (uint64_t)XML_GetCurrentByteCount(lane->expat);
}

size_t lane_unfinished(const struct lane *lane)
{
    XML_Index at = XML_GetCurrentByteIndex(lane->expat);
    return at >= 0 && (uint64_t)at < lane->fed ? (size_t)(lane->fed - (uint64_t)at) : 0;
}
