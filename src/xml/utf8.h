/* UTF-8 checked while it streams in, before expat sees it: no overlong form, surrogate or value
 * above U+10FFFF ever gets further (RFC 3629 section 4; CVE-2022-25235). Internal to xml/.
 */
#ifndef JACKDAW_XML_UTF8_H
#define JACKDAW_XML_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* Between two calls: all zero at the start of a character. */
struct utf8 {
    uint8_t missing;   /* continuation bytes still due */
    uint8_t low, high; /* what the next of them may be */
};

/* Returns how many bytes are right so far; less than `len` means that the byte there is wrong. */
size_t utf8_check(struct utf8 *u, const char *bytes, size_t len);

#endif
