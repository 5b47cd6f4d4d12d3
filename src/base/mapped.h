/* Mapped: what files have in common whose bytes are written through mapped memory (ring.h,
 * board.h): one writer at a time, and a checksum that tells a whole record from a torn one.
 */
#ifndef JACKDAW_BASE_MAPPED_H
#define JACKDAW_BASE_MAPPED_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define MAPPED_PAGE 4096u

/* Made when it is missing, for its owner alone, and locked until it is closed. -1 and errno when
 * that cannot be: EWOULDBLOCK when another process has it. */
int mapped_open(const char *path);

/* Of whole pairs of words: what is behind `len` up to the next multiple of 16 is zero. Against
 * halves of records, not against somebody who means it. */
static inline uint32_t mapped_check(const char *bytes, size_t len, uint64_t number)
{
    uint64_t a = number, b = len, word[2];

    for (size_t i = 0; i < len; i += sizeof(word)) {
        memcpy(word, bytes + i, sizeof(word));
        a = (a ^ word[0]) * 0x9E3779B97F4A7C15u;
        b = (b ^ word[1]) * 0xD6E8FEB86659FD93u;
    }
    a = (a ^ a >> 32) * 0x9E3779B97F4A7C15u ^ b ^ b >> 32;
    return (uint32_t)(a >> 32);
}

#endif
