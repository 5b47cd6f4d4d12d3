/* A stream in one piece, byte by byte, and in random pieces must give the same events and the same
 * end; also while another stream takes turns on the same pool, and when an event's handler
 * restarts, stops or destroys the parser. */
#include <stdio.h>
#include <stdlib.h>
#include "xml/parser.h"

struct run {
    struct parser *parser;
    struct buffer log;
};

static const struct parser_limits wide = {262144, 0, 64, 64, 32, 5000};
static const struct parser_limits tight = {200, 700, 3, 3, 2, 4};

static void on_open(void *owner, const struct stanza *header)
{
    struct run *r = owner;
    buffer_add_str(&r->log, STR("\nopen "));
    buffer_add_str(&r->log, stanza_ns(header, STANZA_ROOT));
    stanza_write(header, NULL, &r->log);
}

static void on_stanza(void *owner, struct stanza *s)
{
    struct run *r = owner;
    buffer_add_str(&r->log, STR("\nstanza "));
    buffer_add_str(&r->log, stanza_ns(s, STANZA_ROOT));
    stanza_write(s, NULL, &r->log);
    struct str name = stanza_name(s, STANZA_ROOT);
    if (str_eq(name, STR("restart")))
        parser_restart(r->parser);
    else if (str_eq(name, STR("stop")))
        parser_stop(r->parser);
    else if (str_eq(name, STR("wide")))
        parser_set_limits(r->parser, &wide);
    stanza_unref(s);
}

static void on_close(void *owner)
{
    buffer_add_str(&((struct run *)owner)->log, STR("\nclose"));
}

static const struct parser_events events = {
    .stream_open = on_open, .stanza = on_stanza, .stream_close = on_close};

/* A stream that never misbehaves, in the way of the other one. */
static void neighbour_feed(struct parser *p, const char *text)
{
    if (parser_feed(p, text, strlen(text)) != PARSER_OK) {
        fprintf(stderr, "the neighbour was disturbed: %s\n", parser_why(p));
        abort();
    }
}

static enum parser_status run(struct parser_pool *pool, struct run *r, const uint8_t *data,
                              size_t size, const struct parser_limits *limits, size_t piece,
                              uint32_t seed)
{
    struct run other = {0};
    buffer_init(&r->log, 1 << 26);
    buffer_init(&other.log, 1 << 26);
    r->parser = parser_create(pool, limits, &events, r);
    other.parser = parser_create(pool, &wide, &events, &other);
    neighbour_feed(other.parser, "<stream:stream xmlns='jabber:client' "
                                 "xmlns:stream='http://etherx.jabber.org/streams'>");
    enum parser_status status = PARSER_OK;
    for (size_t at = 0; at < size && status == PARSER_OK;) {
        size_t n = piece;
        if (n == 0) {
            seed = seed * 1664525u + 1013904223u;
            n = 1 + (seed >> 16) % ((seed >> 28) < 2 ? 6000 : 40);
        }
        if (n > size - at)
            n = size - at;
        char *exact = malloc(n);
        memcpy(exact, data + at, n);
        status = parser_feed(r->parser, exact, n);
        free(exact);
        at += n;
        if (at % 16 == 0)
            neighbour_feed(other.parser, " <m>x<b/></m>");
    }
    /* A '<' makes the parser judge what it held back of an unfinished token. */
    enum parser_status again = parser_feed(r->parser, "<", 1);
    if (status != PARSER_OK && again != status)
        abort();
    parser_destroy(other.parser);
    buffer_finish(&other.log);
    return again;
}

static void check_splits(struct parser_pool *pool, const uint8_t *data, size_t size,
                         const struct parser_limits *limits, uint32_t seed)
{
    struct run whole = {0}, pieces = {0};
    enum parser_status first = run(pool, &whole, data, size, limits, size ? size : 1, seed);
    for (int i = 0; i < 2; i++) {
        /* Byte by byte only what is not too slow for a fuzzer. */
        size_t piece = i == 0 && size <= 1024 ? 1 : 0;
        enum parser_status status = run(pool, &pieces, data, size, limits, piece, seed);
        bool memory = str_is(str_of(parser_why(whole.parser)), "stanza needs too much memory") ||
                      str_is(str_of(parser_why(pieces.parser)), "stanza needs too much memory");
        if (!memory &&
            (status != first || !str_eq(buffer_str(&whole.log), buffer_str(&pieces.log)))) {
            fprintf(stderr, "in one piece: %d (%s)%.*s\nin pieces (%zu): %d (%s)%.*s\n", (int)first,
                    parser_why(whole.parser), STR_ARG(buffer_str(&whole.log)), piece, (int)status,
                    parser_why(pieces.parser), STR_ARG(buffer_str(&pieces.log)));
            abort();
        }
        parser_destroy(pieces.parser);
        buffer_finish(&pieces.log);
    }
    parser_destroy(whole.parser);
    buffer_finish(&whole.log);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint32_t seed = (uint32_t)size;
    for (size_t i = 0; i < size && i < 64; i++)
        seed = seed * 31 + data[i];
    struct random *random = random_create_seeded(seed);
    struct parser_pool *pool = parser_pool_create(random);
    check_splits(pool, data, size, &wide, seed);
    check_splits(pool, data, size, &tight, seed);
    parser_pool_destroy(pool);
    random_destroy(random);
    return 0;
}
