/* Token: see token.h. Looks at little more than what follows the last '<'. */
#include "xml/token.h"
#include <string.h>

/* From inside a tag to its end or the end of the bytes; *at is then behind what was looked at. */
static enum token scan_tag(enum token state, const char *bytes, size_t len, size_t *at)
{
    size_t i = 0;
    while (i < len && state != TOKEN_NONE) {
        char c = bytes[i++];
        if (state == TOKEN_SINGLE || state == TOKEN_DOUBLE) {
            if (c == (state == TOKEN_SINGLE ? '\'' : '"'))
                state = TOKEN_TAG;
        } else if (c == '>') {
            state = TOKEN_NONE;
        } else if (c == '\'') {
            state = TOKEN_SINGLE;
        } else if (c == '"') {
            state = TOKEN_DOUBLE;
        }
    }
    *at = i;
    return state;
}

enum token token_scan(enum token state, const char *bytes, size_t len, int *ret_fresh)
{
    const char *end = bytes + len;
    const char *lt = len > 0 ? memrchr(bytes, '<', len) : NULL;
    *ret_fresh = lt != NULL;
    if (lt) {
        state = TOKEN_TAG;
        bytes = lt + 1;
    }
    if (state != TOKEN_NONE && state != TOKEN_REFERENCE) {
        size_t at;
        state = scan_tag(state, bytes, (size_t)(end - bytes), &at);
        bytes += at;
    }
    if (bytes == end || (state != TOKEN_NONE && state != TOKEN_REFERENCE))
        return state;
    const char *amp = memrchr(bytes, '&', (size_t)(end - bytes));
    if (amp) {
        state = TOKEN_REFERENCE;
        bytes = amp + 1;
    }
    if (state == TOKEN_REFERENCE && memchr(bytes, ';', (size_t)(end - bytes)))
        state = TOKEN_NONE;
    return state;
}
