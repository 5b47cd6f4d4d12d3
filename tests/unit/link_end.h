/* One end of a link under test: it records what comes. For test_link*.c. */
#ifndef JACKDAW_TESTS_LINK_END_H
#define JACKDAW_TESTS_LINK_END_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "link/frame.h"
#include "link/link.h"
#include "xml/builder.h"
#include "xmpp/namespaces.h"

#define GOT_MAX 4000

struct end {
    struct link *link;
    struct packet *got[GOT_MAX];
    size_t count;
    int ups, downs, writable;
    bool close_on_packet, close_on_down;
    struct parser_pool *pool; /* of a router's end: opens what comes sealed */
    size_t sealed;            /* how many did */
    bool leave_sealed;
};

static inline void end_on_packet(void *owner, struct packet *p)
{
    struct end *e = owner;

    assert_true(e->count < GOT_MAX);
    e->got[e->count++] = p;
    e->sealed += p->sealed.len > 0;
    if (p->sealed.len && !e->leave_sealed)
        assert_true(frame_open(p, e->pool));
    if (e->close_on_packet) {
        link_close(e->link);
        e->link = NULL;
    }
}

static inline void end_on_up(void *owner)
{
    ((struct end *)owner)->ups++;
}

static inline void end_on_down(void *owner, const char *why)
{
    struct end *e = owner;

    assert_non_null(why);
    e->downs++;
    if (e->close_on_down) {
        link_close(e->link);
        e->link = NULL;
    }
}

static inline void end_on_writable(void *owner)
{
    ((struct end *)owner)->writable++;
}

static const struct link_events end_events = {
    .packet = end_on_packet, .up = end_on_up, .down = end_on_down, .writable = end_on_writable};

static inline void end_finish(struct end *e)
{
    link_close(e->link);
    for (size_t i = 0; i < e->count; i++)
        packet_destroy(e->got[i]);
}

static inline void forget(struct end *e)
{
    for (size_t i = 0; i < e->count; i++)
        packet_destroy(e->got[i]);
    e->count = 0;
}

static inline struct packet *numbered(unsigned n, size_t size)
{
    struct builder *b = builder_create(STR("message"), NS_CLIENT);
    struct packet *p = packet_create(PACKET_STANZA, STR("sm"), STR("c2s"));
    char *body = mem_alloc(size + 1);

    memset(body, 'x', size);
    builder_attr_u64(b, STR("id"), n);
    builder_leaf(b, STR("body"), STR_NULL, (struct str){body, size});
    p->stanza = builder_finish(b);
    free(body);
    return p;
}

static inline uint64_t number_of(const struct packet *p)
{
    uint64_t n = UINT64_MAX;

    assert_true(str_to_u64(stanza_attr(p->stanza, STANZA_ROOT, STR("id")), UINT64_MAX, &n));
    return n;
}

static inline void expect_in_order(const struct end *e, size_t count)
{
    assert_int_equal(e->count, count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(e->got[i]->error, 0);
        assert_int_equal(number_of(e->got[i]), i);
    }
}

#endif
