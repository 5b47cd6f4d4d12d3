/* CSV as RFC 4180 has it, read from a stream: quoted fields with commas, line breaks and doubled
 * quotes; CRLF or LF. */
#ifndef JACKDAW_CLI_CSV_H
#define JACKDAW_CLI_CSV_H

#include <stdio.h>
#include "base/buffer.h"

enum { CSV_FIELDS_MAX = 16, CSV_RECORD_MAX = 65536 };

struct csv {
    FILE *from;
    struct buffer text;          /* of the record, fields one after another */
    size_t ends[CSV_FIELDS_MAX]; /* of each field in `text` */
    size_t count;
    unsigned line, next_line; /* where the record begins, where the next one does */
    const char *problem;
};

enum csv_result { CSV_RECORD, CSV_BAD, CSV_END };

void csv_init(struct csv *c, FILE *from); /* borrows the stream */
void csv_finish(struct csv *c);           /* wipes what was read last */
/* The next record that is not an empty line. CSV_BAD: c->problem says what is wrong with the one at
 * c->line; reading goes on behind it. */
enum csv_result csv_next(struct csv *c);
struct str csv_field(const struct csv *c,
                     size_t i); /* until the next csv_next; data == NULL when there is none */

#endif
