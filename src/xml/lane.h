/* Lane: one expat parser with its memory counted and the block writer that goes with it. What a
 * stream borrows from the pool while it has unfinished input. Internal to xml/.
 */
#ifndef JACKDAW_XML_LANE_H
#define JACKDAW_XML_LANE_H

#include <expat.h>
#include "base/buffer.h"
#include "base/list.h"
#include "base/random.h"
#include "xml/block.h"

/* Between namespace and name in what expat reports. No UTF-8 holds this byte, so no namespace can
 * smuggle it (CVE-2022-25236). */
#define LANE_SEPARATOR '\xFF'

struct parser;
struct parser_key;

struct lane_account {
    size_t used, max; /* bytes expat holds; over `max` its allocations fail */
};

struct lane {
    struct list in_key,
        in_pool;            /* while idle: all of its key's, all of the pool's (oldest first) */
    struct parser_key *key; /* the kind of stream it is in; NULL before the header */
    struct parser *stream;  /* who borrowed it, or NULL */
    XML_Parser expat;
    struct lane_account account;
    struct block_writer writer;
    struct buffer decls; /* while the header comes: its namespace declarations, canonical */
    char *content_ns;    /* and the default one, or NULL */
    uint64_t fed;        /* bytes given to expat, all told */
    uint64_t mark;       /* of these: up to the last complete thing at depth 1 */
    uint32_t depth;      /* open elements */
    uint32_t namespaces; /* declared in the start tag that comes */
};

/* At the start of a document, as `lane->stream` NULL. */
struct lane *lane_create(struct random *random);
void lane_destroy(struct lane *lane);
/* As new, with the memory it has; only outside of lane_feed. False when it is too large to keep. */
bool lane_recycle(struct lane *lane, struct random *random);
/* Events happen inside. XML_ERROR_NONE or what ended it; after that only lane_destroy is allowed.
 */
enum XML_Error lane_feed(struct lane *lane, const char *bytes, size_t len);
/* Within an event: the index behind what it reports, as `fed` counts. */
uint64_t lane_event_end(const struct lane *lane);
/* After lane_feed: bytes of an unfinished token that expat keeps for the next time. */
size_t lane_unfinished(const struct lane *lane);

#endif
