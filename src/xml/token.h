/* Token: does the input end inside markup that goes on? expat scans an unfinished token from its
 * start with every piece that arrives, which is quadratic for a tag of 256 KB in small segments
 * (CVE-2023-52425). The parser uses this to hold back pieces that cannot finish the token. A wrong
 * guess costs time only, never an event: every tag begins with the last '<' seen. Internal to xml/.
 */
#ifndef JACKDAW_XML_TOKEN_H
#define JACKDAW_XML_TOKEN_H

#include <stddef.h>

enum token {
    TOKEN_NONE,      /* text: expat takes what there is */
    TOKEN_TAG,       /* after '<', before '>' */
    TOKEN_SINGLE,    /* there in '...' */
    TOKEN_DOUBLE,    /* there in "..." */
    TOKEN_REFERENCE, /* after '&', before ';' */
};

/* The state after these bytes; *ret_fresh tells whether a '<' in them began a tag. */
enum token token_scan(enum token state, const char *bytes, size_t len, int *ret_fresh);

#endif
