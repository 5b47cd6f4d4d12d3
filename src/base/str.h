/* A view of bytes somebody else owns. Passed by value; never NUL-terminated by contract. */
#ifndef JACKDAW_BASE_STR_H
#define JACKDAW_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct str {
    const char *data; /* NULL means "absent", which differs from "empty" */
    size_t len;
};

#define STR(literal) ((struct str){("" literal), sizeof(literal) - 1})
#define STR_NULL     ((struct str){NULL, 0})
/* For printf: printf("%.*s", STR_ARG(s)) */
#define STR_ARG(s) (int)(s).len, (s).data ? (s).data : ""

static inline struct str str_of(const char *text)
{
    return text ? (struct str){text, strlen(text)} : STR_NULL;
}

static inline bool str_eq(struct str a, struct str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static inline bool str_is(struct str a, const char *text)
{
    return a.data != NULL && str_eq(a, str_of(text));
}

bool str_starts(struct str s, struct str prefix);
int str_cmp(struct str a, struct str b); /* byte order, as memcmp, shorter first */
/* Takes the part before the first `sep` off the front of *rest; false when *rest is exhausted (data
 * == NULL). */
bool str_split(struct str *rest, char sep, struct str *ret_part);
/* Decimal, whole string, no sign; false (and *ret untouched) on anything else or above `max`. */
bool str_to_u64(struct str s, uint64_t max, uint64_t *ret);
char *str_dup(struct str s); /* NUL-terminated copy; free() */
/* True when the bytes are well-formed UTF-8 (RFC 3629: no overlong, no surrogates, <= U+10FFFF). */
bool str_utf8_valid(struct str s);
/* Length of the printable sequence that the bytes begin with; 0 for control characters (C0, DEL,
 * C1, line and paragraph separator, the bidirectional overrides that make a terminal show something
 * else), for anything not UTF-8, and for nothing. */
size_t str_printable(struct str s);
/* Compares without a data-dependent branch; lengths are not secret. */
bool str_eq_secret(struct str a, struct str b);

/* Lower-case hex. `out` takes 2*len bytes, no NUL is written. */
void str_hex(const void *bytes, size_t len, char *out);

#endif
