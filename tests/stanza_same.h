/* For tests: two stanzas compared through every look-up there is. */
#ifndef JACKDAW_TESTS_STANZA_SAME_H
#define JACKDAW_TESTS_STANZA_SAME_H

#include "xml/stanza.h"

static inline bool stanza_same_attrs(const struct stanza *a, const struct stanza *b, stanza_el el)
{
    if (stanza_attr_count(a, el) != stanza_attr_count(b, el))
        return false;
    for (uint32_t i = 0; i < stanza_attr_count(a, el); i++) {
        struct str name[2], ns[2], value[2];
        stanza_attr_at(a, el, i, &name[0], &ns[0], &value[0]);
        stanza_attr_at(b, el, i, &name[1], &ns[1], &value[1]);
        if (!str_eq(name[0], name[1]) || !str_eq(ns[0], ns[1]) || !str_eq(value[0], value[1]))
            return false;
        struct str found = stanza_attr_ns(a, el, name[0], ns[0]);
        if (found.data == NULL || !str_eq(found, value[0]))
            return false;
    }
    return true;
}

static inline bool stanza_same_element(const struct stanza *a, const struct stanza *b, stanza_el el)
{
    return str_eq(stanza_name(a, el), stanza_name(b, el)) &&
           str_eq(stanza_ns(a, el), stanza_ns(b, el)) &&
           str_eq(stanza_text(a, el), stanza_text(b, el)) &&
           str_eq(stanza_inner(a, el), stanza_inner(b, el)) &&
           stanza_parent(a, el) == stanza_parent(b, el) &&
           stanza_first(a, el) == stanza_first(b, el) && stanza_next(a, el) == stanza_next(b, el) &&
           stanza_children(a, el) == stanza_children(b, el) && stanza_same_attrs(a, b, el);
}

static inline bool stanza_same(const struct stanza *a, const struct stanza *b)
{
    if (stanza_count(a) != stanza_count(b) || stanza_size(a) != stanza_size(b))
        return false;
    for (stanza_el el = 0; el < stanza_count(a); el++) {
        if (!stanza_same_element(a, b, el))
            return false;
    }
    return true;
}

#endif
