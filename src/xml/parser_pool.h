/* Parser pool: warm expat parsers by kind of stream. Internal to xml/.
 *
 * After the stream header, and after every complete stanza, an expat parser's state is what the
 * header declared: the root's raw name (the end tag must match it) and the namespaces in scope. So
 * two streams with equal ones may use one parser in turns. The key is a synthetic header that says
 * just that, which a fresh parser is fed to get there.
 */
#ifndef JACKDAW_XML_PARSER_POOL_H
#define JACKDAW_XML_PARSER_POOL_H

#include "base/hash.h"
#include "xml/lane.h"

struct parser_key {
    uint32_t refs; /* of streams; idle lanes do not count */
    uint32_t warm; /* lanes in `lanes` */
    struct list lanes;
    struct str ns; /* the default namespace; behind the header */
    size_t len;
    char header[];
};

struct parser_pool {
    struct random *random;
    struct hash keys; /* header -> struct parser_key */
    struct list idle; /* lanes of all keys, oldest first */
    uint32_t warm;
    struct list blank; /* lanes at the very start, to be used again: making one costs more than a
                          stanza */
    uint32_t blank_count;
    struct parser_key *document; /* for parser_document: a root without namespaces */
    struct block_writer plain;   /* for what is read without a lane */
};

/* The key for a header that declares this default namespace; a reference. */
struct parser_key *parser_pool_key(struct parser_pool *pool, struct str header, struct str ns);
void parser_pool_unref_key(struct parser_pool *pool, struct parser_key *key); /* NULL is fine */
/* A lane at depth 1 of such a stream, or at the very start for NULL. */
struct lane *parser_pool_borrow(struct parser_pool *pool, struct parser_key *key,
                                struct parser *stream);
/* Back from a stream without unfinished input; the lane may be gone afterwards. */
void parser_pool_return(struct parser_pool *pool, struct lane *lane);

/* In parser_events.c: makes expat report to it. */
void parser_events_install(XML_Parser expat);

#endif
