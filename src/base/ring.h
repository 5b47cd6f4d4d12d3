/* Ring: records in a file of fixed size, the newest in the place of the oldest. Written through
 * memory that is mapped, so that a record costs no system call and survives kill -9; several
 * threads of one process may write, without locks, and other processes may read meanwhile. A record
 * that was being written when the machine died is recognised by its checksum and passed over.
 */
#ifndef JACKDAW_BASE_RING_H
#define JACKDAW_BASE_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"

#define RING_RECORD 240u /* bytes that one record holds at most, where nothing else is said */

struct ring;

/* `bytes` is for records of `record` + 16 bytes (`record` a multiple of 16, RING_RECORD at most), a
 * power of two of them, to which a page is added. For writing: the file is made, or made anew when
 * it has another size or is none of ours; else it is continued. Its room on the disk is taken at
 * once, since a full disk could not be told of later. On failure *ret is NULL, and errno says why:
 * EWOULDBLOCK when another process writes there. */
enum error ring_open(const char *path, size_t bytes, size_t record, struct ring **ret);
/* One that lives in memory alone. */
struct ring *ring_create(size_t bytes, size_t record);
void ring_clear(struct ring *r); /* as it was when it was new; nobody writes meanwhile */
void ring_close(struct ring *r); /* NULL is fine */
/* Room for the next record, `record` bytes of no known content, to be filled at once and handed
 * over with the number: at most that many bytes, at least one. From any thread. NULL: it cannot be
 * had. */
void *ring_begin(struct ring *r, uint64_t *ret_number);
void ring_end(struct ring *r, uint64_t number, size_t len);

/* For reading only, one with records of RING_RECORD bytes. NOT_FOUND, or MALFORMED when it is no
 * ring. */
enum error ring_read(const char *path, struct ring **ret);
/* Records are numbered from 1 on; the next one will have this number. */
uint64_t ring_next(const struct ring *r);
uint64_t ring_first(const struct ring *r); /* the oldest that may still be there */
/* Copies the record of that number, `record` bytes of room; 0: it is not there, not yet or not any
 * more. */
size_t ring_get(const struct ring *r, uint64_t number, void *out);

#endif
