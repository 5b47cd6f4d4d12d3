/* Buffer: bytes between `start` and `end`. Consuming moves `start`; room is made by sliding the
 * rest to the front or by growing to the next power of two, never past the maximum. */
#include "base/buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"

enum { SMALLEST = 128 };

void buffer_init(struct buffer *b, size_t max)
{
    *b = (struct buffer){.max = max};
}

void buffer_finish(struct buffer *b)
{
    free(b->data);
    buffer_init(b, b->max);
}

void buffer_clear(struct buffer *b)
{
    b->start = b->end = 0;
    b->overflowed = false;
}

void buffer_shrink(struct buffer *b)
{
    if (b->start != b->end)
        return;
    free(b->data);
    b->data = NULL;
    b->cap = b->start = b->end = 0;
}

char *buffer_reserve(struct buffer *b, size_t len)
{
    size_t used = buffer_len(b);
    if (len <= b->cap - b->end && b->data)
        return b->data + b->end;
    if (len > b->max - used) {
        b->overflowed = true;
        return NULL;
    }
    /* Slide only when that frees at least half, or many small consumptions would cost a copy each.
     */
    if (b->data && b->start && used + len <= b->cap && b->start >= b->cap / 2) {
        memmove(b->data, b->data + b->start, used);
    } else {
        size_t cap = b->cap ? b->cap : SMALLEST;
        while (cap < used + len)
            cap = cap > b->max / 2 ? b->max : cap * 2;
        if (cap > b->max && b->max >= used + len)
            cap = b->max;
        if (b->data && b->start) {
            char *data = mem_realloc(NULL, cap ? cap : 1);
            memcpy(data, b->data + b->start, used);
            free(b->data);
            b->data = data;
        } else {
            b->data = mem_realloc(b->data, cap);
        }
        b->cap = cap;
    }
    b->start = 0;
    b->end = used;
    return b->data + used;
}

void buffer_commit(struct buffer *b, size_t len)
{
    b->end += len;
}

void buffer_consume(struct buffer *b, size_t len)
{
    b->start += len;
    if (b->start == b->end)
        b->start = b->end = 0;
}

bool buffer_add(struct buffer *b, const void *bytes, size_t len)
{
    if (!len)
        return true;
    char *room = buffer_reserve(b, len);
    if (!room)
        return false;
    memcpy(room, bytes, len);
    b->end += len;
    return true;
}

bool buffer_add_str(struct buffer *b, struct str s)
{
    return buffer_add(b, s.data, s.len);
}

bool buffer_add_char(struct buffer *b, char c)
{
    return buffer_add(b, &c, 1);
}

bool buffer_printf(struct buffer *b, const char *fmt, ...)
{
    char text[512];
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (len < 0)
        return false;
    if ((size_t)len < sizeof text)
        return buffer_add(b, text, (size_t)len);
    if ((size_t)len > b->max - buffer_len(b)) {
        b->overflowed = true;
        return false;
    }
    char *large = mem_realloc(
        NULL, (size_t)len + 1); /* vsnprintf wants room for a NUL that the buffer may lack */
    va_start(args, fmt);
    vsnprintf(large, (size_t)len + 1, fmt, args);
    va_end(args);
    bool added = buffer_add(b, large, (size_t)len);
    free(large);
    return added;
}

/* Characters that are not printable are all in the basic plane, of at most three bytes. */
static size_t decode(struct str s, unsigned *ret)
{
    const unsigned char *p = (const unsigned char *)s.data;
    *ret = p[0];
    if (p[0] < 0xc0 || s.len < 2)
        return 1;
    if (p[0] < 0xe0) {
        *ret = (p[0] & 0x1fu) << 6 | (p[1] & 0x3fu);
        return 2;
    }
    if (p[0] >= 0xf0 || s.len < 3)
        return 1;
    *ret = (p[0] & 0x0fu) << 12 | (p[1] & 0x3fu) << 6 | (p[2] & 0x3fu);
    return 3;
}

bool buffer_add_json(struct buffer *b, struct str text)
{
    size_t before = buffer_len(b);
    bool ok = buffer_add_char(b, '"');
    while (ok && text.len) {
        size_t len = str_printable(text);
        unsigned c;
        if (len == 0) {
            len = decode(text, &c);
            ok = buffer_printf(b, "\\u%04x", c);
        } else if (*text.data == '\\' || *text.data == '"') {
            ok = buffer_printf(b, "\\%c", *text.data);
        } else {
            ok = buffer_add(b, text.data, len);
        }
        text.data += len;
        text.len -= len;
    }
    if (ok && buffer_add_char(b, '"'))
        return true;
    b->end = b->start + before;
    return false;
}
