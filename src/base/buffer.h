/* Buffer: bytes that grow up to a maximum given at the start. Embedded by its owner. */
#ifndef JACKDAW_BASE_BUFFER_H
#define JACKDAW_BASE_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include "base/str.h"

struct buffer {
    char *data;
    size_t start; /* consumed bytes in front */
    size_t end;   /* one past the last byte */
    size_t cap;
    size_t max;
    bool overflowed; /* sticky: an append did not fit; nothing of it was added */
};

void buffer_init(struct buffer *b, size_t max); /* allocates nothing yet */
void buffer_finish(struct buffer *b);           /* frees; the buffer is empty and usable again */
void buffer_clear(struct buffer *b);            /* empties, keeps memory, clears `overflowed` */
void buffer_shrink(struct buffer *b);           /* gives the memory back when empty */

static inline size_t buffer_len(const struct buffer *b)
{
    return b->end - b->start;
}
static inline struct str buffer_str(const struct buffer *b)
{
    return (struct str){b->data ? b->data + b->start : "", b->end - b->start};
}

/* Each returns false, adds nothing and sets `overflowed` when the maximum would be passed. */
bool buffer_add(struct buffer *b, const void *bytes, size_t len);
bool buffer_add_str(struct buffer *b, struct str s);
bool buffer_add_char(struct buffer *b, char c);
bool buffer_printf(struct buffer *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The UTF-8 text as a JSON string, quotes and all (RFC 8259 section 7). What a terminal or a reader
 * of lines could take for something else is escaped. */
bool buffer_add_json(struct buffer *b, struct str text);
/* Room for `len` bytes at the end, or NULL; buffer_commit then says how many were written. */
char *buffer_reserve(struct buffer *b, size_t len);
void buffer_commit(struct buffer *b, size_t len);
void buffer_consume(struct buffer *b, size_t len); /* drops from the front */

#endif
