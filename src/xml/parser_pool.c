/* Parser pool: see parser_pool.h. Few lanes stay warm, whatever strangers' headers declare; a lane
 * that has grown (expat interns every name it ever saw) is not kept. */
#include "xml/parser_pool.h"
#include <stdlib.h>
#include "base/mem.h"
#include "xml/parser.h"

enum {
    WARM_PER_KEY = 4,
    WARM_PER_POOL = 32,
    BLANK_PER_POOL = 4,
    LANE_MEMORY = 32 * 1024,        /* of expat's, above which a lane is not kept */
    LANE_BYTES = 256 * 1024 * 1024, /* parsed, likewise: a new hash salt now and then */
};

struct parser_pool *parser_pool_create(struct random *random)
{
    struct parser_pool *pool = MEM_NEW(struct parser_pool);
    uint64_t seed[2];
    random_fill(random, seed, sizeof seed);
    pool->random = random;
    hash_init(&pool->keys, seed);
    list_init(&pool->idle);
    list_init(&pool->blank);
    pool->document = parser_pool_key(pool, STR("<document>"), STR(""));
    block_writer_init(&pool->plain);
    return pool;
}

/* A lane that nobody keeps warm: back to the start, or away. */
static void drop_lane(struct parser_pool *pool, struct lane *lane)
{
    if (pool->blank_count < BLANK_PER_POOL && lane_recycle(lane, pool->random)) {
        list_push(&pool->blank, &lane->in_pool);
        pool->blank_count++;
    } else {
        lane_destroy(lane);
    }
}

static struct lane *blank_lane(struct parser_pool *pool)
{
    if (list_empty(&pool->blank))
        return lane_create(pool->random);
    pool->blank_count--;
    return LIST_ENTRY(list_pop(&pool->blank), struct lane, in_pool);
}

static void forget_lane(struct parser_pool *pool, struct lane *lane)
{
    list_remove(&lane->in_key);
    list_remove(&lane->in_pool);
    lane->key->warm--;
    pool->warm--;
    drop_lane(pool, lane);
}

void parser_pool_destroy(struct parser_pool *pool)
{
    if (pool) {
        parser_pool_unref_key(pool, pool->document);
        while (!list_empty(&pool->blank))
            lane_destroy(blank_lane(pool));
        block_writer_finish(&pool->plain);
        hash_finish(&pool->keys);
        free(pool);
    }
}

struct parser_key *parser_pool_key(struct parser_pool *pool, struct str header, struct str ns)
{
    struct parser_key *key = hash_get(&pool->keys, header);
    if (!key) {
        key = mem_alloc(sizeof *key + header.len + ns.len + 1);
        list_init(&key->lanes);
        key->len = header.len;
        memcpy(key->header, header.data, header.len);
        key->ns = (struct str){key->header + header.len, ns.len};
        memcpy(key->header + header.len, ns.data, ns.len);
        hash_put(&pool->keys, (struct str){key->header, key->len}, key);
    }
    key->refs++;
    return key;
}

void parser_pool_unref_key(struct parser_pool *pool, struct parser_key *key)
{
    if (!key || --key->refs > 0)
        return;
    while (!list_empty(&key->lanes))
        forget_lane(pool, LIST_ENTRY(key->lanes.next, struct lane, in_key));
    hash_del(&pool->keys, (struct str){key->header, key->len});
    free(key);
}

struct lane *parser_pool_borrow(struct parser_pool *pool, struct parser_key *key,
                                struct parser *stream)
{
    struct lane *lane;
    if (key && !list_empty(&key->lanes)) {
        lane = LIST_ENTRY(key->lanes.prev, struct lane, in_key); /* the warmest */
        list_remove(&lane->in_key);
        list_remove(&lane->in_pool);
        key->warm--;
        pool->warm--;
    } else {
        lane = blank_lane(pool);
        if (key) {
            lane_feed(lane, key->header, key->len); /* our own bytes: cannot fail */
            lane->depth = 1;
            lane->mark = lane->fed;
        }
        parser_events_install(lane->expat);
    }
    lane->key = key;
    lane->stream = stream;
    return lane;
}

void parser_pool_return(struct parser_pool *pool, struct lane *lane)
{
    struct parser_key *key = lane->key;
    lane->stream = NULL;
    lane->account.max = SIZE_MAX;
    block_writer_reset(&lane->writer);
    if (lane->account.used > LANE_MEMORY || lane->fed > LANE_BYTES || key->warm == WARM_PER_KEY) {
        drop_lane(pool, lane);
        return;
    }
    list_push(&key->lanes, &lane->in_key);
    list_push(&pool->idle, &lane->in_pool);
    key->warm++;
    if (++pool->warm > WARM_PER_POOL)
        forget_lane(pool, LIST_ENTRY(pool->idle.next, struct lane, in_pool));
}
