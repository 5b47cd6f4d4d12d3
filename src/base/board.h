/* Board: slots of a fixed size in a file, each with bytes that change now and then and a number
 * that changes all the time. Written through memory that is mapped, so that a change costs no
 * system call and survives kill -9, as the pages are the kernel's; after the death of the machine
 * the numbers on the disk may be older than what was told, so nothing of it is kept then. One
 * thread writes.
 */
#ifndef JACKDAW_BASE_BOARD_H
#define JACKDAW_BASE_BOARD_H

#include "base/error.h"
#include "base/str.h"

#define BOARD_BYTES 1008u      /* that one slot holds at most */
#define BOARD_CHUNK 1024u      /* slots: so many are added to the file at a time, a mebibyte */
#define BOARD_NONE  UINT32_MAX /* no slot */
#define BOARD_BOOT  40u        /* characters of a boot's name, at most */

struct board;

/* What the system calls this boot of the machine; data == NULL: it does not say. */
struct str board_boot(char out[BOARD_BOOT]);

/* The file is made, or emptied when it is none of ours or was written in another boot of the
 * machine; else it is continued, and what is torn in it is dropped. `boot` is what the system calls
 * this boot; empty: it does not say, and nothing is believed. `most` is the number of slots that
 * there may ever be. On failure *ret is NULL, and errno says why: EWOULDBLOCK when another process
 * writes there. */
enum error board_open(const char *path, struct str boot, uint32_t most, struct board **ret);
/* One that lives in memory alone. */
struct board *board_create(uint32_t most);
void board_close(struct board *b); /* NULL is fine; the slots stay */
void board_clear(struct board *b); /* frees every slot */

/* A slot of no content; BOARD_NONE when there is no room, in the board or on the disk. */
uint32_t board_take(struct board *b);
/* Its content: at least one byte, at most BOARD_BYTES. */
void board_put(struct board *b, uint32_t slot, const void *bytes, size_t len);
void board_free(struct board *b, uint32_t slot);
/* Its number, of no known value in a slot just taken. */
void board_set(struct board *b, uint32_t slot, uint32_t number);
uint32_t board_number(const struct board *b, uint32_t slot);

/* Slots have numbers from 0 up to this. */
uint32_t board_room(const struct board *b);
/* Copies the content, BOARD_BYTES of room; 0: there is none. */
size_t board_get(const struct board *b, uint32_t slot, void *out);

/* When somebody was last there, as who writes said; and a word of his. 0 in a new one; of another
 * boot the word is left, as far as it reached the disk. */
void board_note(struct board *b, uint64_t seen, uint64_t word);
uint64_t board_seen(const struct board *b);
uint64_t board_word(const struct board *b);

#endif
