/* PIE: the portable import/export format of XEP-0227, in one file or in several that include each
 * other (section "Use of XInclude"). What it has no place for stands in elements of a namespace of
 * ours (person_kinds.def), which others ignore. */
#ifndef JACKDAW_MOVE_PIE_H
#define JACKDAW_MOVE_PIE_H

#include "move/facts.h"
#include "move/source.h"

enum {
    PIE_USER_MAX = 1 << 29, /* bytes of one user */
    PIE_DEPTH_MAX = 256,    /* of elements in a user */
    PIE_FILES_MAX = 8       /* that include each other */
};

/* NULL after a sentence in `why`. */
struct move_source *pie_open(const char *file, struct move_notes *notes, struct move_why why);
/* The facts of one <user> element of a host, or of its <domain/>; NULL when its name is none. */
struct person *pie_person(const struct stanza *user, struct str host, struct move_notes *notes);

/* What goes before the first host, before the users of a host, behind them, behind the last host.
 */
void pie_write_begin(struct buffer *out);
void pie_write_host(struct buffer *out, struct str domain);
void pie_write_host_end(struct buffer *out);
void pie_write_end(struct buffer *out);
/* A sorted person: a <user/>; a domain is a <domain/> of ours. The bytes follow from its facts
 * alone. */
void pie_write_person(struct buffer *out, const struct person *p);

#endif
