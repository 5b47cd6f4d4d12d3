/* Comparing what came with what a script expects: names, the attributes written, children, text. */
#include "scenario.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct match {
    const struct stanza *expected, *actual;
    struct match_mode mode;
    struct vars *vars;
    char *why;
    size_t why_size;
};

static bool match_element(struct match *m, stanza_el e, stanza_el a);

__attribute__((format(printf, 2, 3))) static bool differ(struct match *m, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(m->why, m->why_size, fmt, args);
    va_end(args);
    return false;
}

static bool is_name(struct str s)
{
    return s.len > 2 && s.data[0] == '{' && s.data[s.len - 1] == '}' &&
           !memchr(s.data + 1, '{', s.len - 1);
}

/* `pattern` with one star in it: what it begins and what it ends with. */
static bool is_like(struct str pattern, struct str actual)
{
    const char *star = memchr(pattern.data, '*', pattern.len);
    size_t before = star ? (size_t)(star - pattern.data) : pattern.len;
    size_t behind = star ? pattern.len - before - 1 : 0;

    if (!star)
        return str_eq(pattern, actual);
    return actual.len >= before + behind && memcmp(actual.data, pattern.data, before) == 0 &&
           memcmp(actual.data + actual.len - behind, star + 1, behind) == 0;
}

static bool match_value(struct match *m, struct str expected, struct str actual)
{
    struct buffer text;
    bool same;

    if (str_is(expected, "{absent}"))
        return actual.data == NULL;
    if (!actual.data)
        return false;
    if (str_is(expected, "*"))
        return true;
    if (is_name(expected)) {
        struct str name = {expected.data + 1, expected.len - 2};

        if (!vars_get(m->vars, name).data) {
            vars_set(m->vars, name, actual);
            return true;
        }
    }
    buffer_init(&text, 1 << 24);
    vars_expand(m->vars, expected, false, &text);
    same = is_like(buffer_str(&text), actual);
    buffer_finish(&text);
    return same;
}

static bool match_attributes(struct match *m, stanza_el e, stanza_el a)
{
    uint32_t count = stanza_attr_count(m->expected, e);
    struct str element = stanza_name(m->expected, e);

    for (uint32_t i = 0; i < count; i++) {
        struct str name, ns, value, actual;

        stanza_attr_at(m->expected, e, i, &name, &ns, &value);
        actual = ns.len ? stanza_attr_ns(m->actual, a, name, ns) : stanza_attr(m->actual, a, name);
        if (!match_value(m, value, actual))
            return differ(m, "<%.*s>: attribute %.*s is %s%.*s%s, expected '%.*s'",
                          STR_ARG(element), STR_ARG(name), actual.data ? "'" : "absent",
                          STR_ARG(actual), actual.data ? "'" : "", STR_ARG(value));
    }
    if (m->mode.exact && stanza_attr_count(m->actual, a) != count)
        return differ(m, "<%.*s> has %u attributes, expected %u", STR_ARG(element),
                      stanza_attr_count(m->actual, a), count);
    return true;
}

static bool blank(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!strchr(" \t\r\n", s.data[i]))
            return false;
    return true;
}

static bool match_text(struct match *m, stanza_el e, stanza_el a, bool elements)
{
    struct str expected = stanza_text(m->expected, e), actual = stanza_text(m->actual, a);

    if (blank(expected)) {
        if (blank(actual) || m->mode.contains)
            return true;
        return differ(m, "<%.*s> holds the text '%.*s'", STR_ARG(stanza_name(m->actual, a)),
                      STR_ARG(actual));
    }
    if (elements && str_eq(expected, actual))
        return true;
    if (match_value(m, expected, actual))
        return true;
    return differ(m, "<%.*s> holds '%.*s', expected '%.*s'", STR_ARG(stanza_name(m->actual, a)),
                  STR_ARG(actual), STR_ARG(expected));
}

/* Each expected child somewhere among the actual ones; none is used twice. */
static bool match_contained(struct match *m, stanza_el e, stanza_el a)
{
    char last[512] = "nothing like it";
    bool *used = mem_alloc_array(stanza_count(m->actual), sizeof(*used));
    bool all = true;

    for (stanza_el want = stanza_first(m->expected, e); want != STANZA_NONE && all;
         want = stanza_next(m->expected, want)) {
        stanza_el got = stanza_first(m->actual, a);

        for (; got != STANZA_NONE; got = stanza_next(m->actual, got)) {
            size_t mark = m->vars->count;

            if (!used[got] && match_element(m, want, got))
                break;
            if (stanza_is(m->actual, got, stanza_name(m->expected, want),
                          stanza_ns(m->expected, want)))
                (void)snprintf(last, sizeof(last), "%s", m->why);
            vars_truncate(m->vars, mark);
        }
        if (got == STANZA_NONE)
            all = differ(m, "no <%.*s> as expected in <%.*s> (%s)",
                         STR_ARG(stanza_name(m->expected, want)),
                         STR_ARG(stanza_name(m->actual, a)), last);
        else
            used[got] = true;
    }
    free(used);
    return all;
}

/* The server gives most messages an id (XEP-0359): only scripts that write it look at it, and those
 * that say exactly what comes. */
static stanza_el look_at(const struct match *m, stanza_el want, stanza_el got)
{
    const struct str name = STR("stanza-id"), ns = STR("urn:xmpp:sid:0");

    if (m->mode.exact || (want != STANZA_NONE && stanza_is(m->expected, want, name, ns)))
        return got;
    while (got != STANZA_NONE && stanza_is(m->actual, got, name, ns))
        got = stanza_next(m->actual, got);
    return got;
}

static bool match_children(struct match *m, stanza_el e, stanza_el a)
{
    stanza_el want = stanza_first(m->expected, e), got = stanza_first(m->actual, a);

    if (m->mode.contains)
        return match_contained(m, e, a);
    for (; want != STANZA_NONE; want = stanza_next(m->expected, want)) {
        if (str_is(stanza_name(m->expected, want), "___"))
            return true;
        got = look_at(m, want, got);
        if (got == STANZA_NONE)
            return differ(m, "<%.*s> lacks <%.*s>", STR_ARG(stanza_name(m->actual, a)),
                          STR_ARG(stanza_name(m->expected, want)));
        if (!match_element(m, want, got))
            return false;
        got = stanza_next(m->actual, got);
    }
    got = look_at(m, STANZA_NONE, got);
    if (got != STANZA_NONE)
        return differ(m, "<%.*s> holds <%.*s xmlns='%.*s'>, which is not expected",
                      STR_ARG(stanza_name(m->actual, a)), STR_ARG(stanza_name(m->actual, got)),
                      STR_ARG(stanza_ns(m->actual, got)));
    return true;
}

static bool match_element(struct match *m, stanza_el e, stanza_el a)
{
    struct str name = stanza_name(m->expected, e), ns = stanza_ns(m->expected, e);
    bool content =
        stanza_first(m->expected, e) != STANZA_NONE || !blank(stanza_text(m->expected, e));

    if (str_is(name, "_"))
        return true;
    if (!stanza_is(m->actual, a, name, ns))
        return differ(m, "<%.*s xmlns='%.*s'>, expected <%.*s xmlns='%.*s'>",
                      STR_ARG(stanza_name(m->actual, a)), STR_ARG(stanza_ns(m->actual, a)),
                      STR_ARG(name), STR_ARG(ns));
    if (!match_attributes(m, e, a))
        return false;
    if (!content && !m->mode.exact)
        return true;
    return match_text(m, e, a, stanza_first(m->expected, e) != STANZA_NONE) &&
           match_children(m, e, a);
}

bool match_stanza(const struct stanza *expected, const struct stanza *actual,
                  struct match_mode mode, struct vars *vars, char *why, size_t why_size)
{
    struct match m = {expected, actual, mode, vars, why, why_size};
    size_t mark = vars->count;

    if (match_element(&m, STANZA_ROOT, STANZA_ROOT))
        return true;
    vars_truncate(vars, mark);
    return false;
}

void match_print(FILE *to, const struct stanza *s)
{
    struct buffer text;
    struct str ns = stanza_ns(s, STANZA_ROOT);
    struct stanza_stamp stamp = {.xmlns = str_is(ns, "jabber:client") ? STR_NULL : ns};

    buffer_init(&text, 1 << 24);
    stanza_write(s, &stamp, &text);
    fprintf(to, "%.*s", STR_ARG(buffer_str(&text)));
    buffer_finish(&text);
}
