/* PRECIS string classes: may this code point stand here? (RFC 8264 sections 8 and 9, RFC 5892
 * appendix A.) */
#ifndef JACKDAW_XMPP_PRECIS_CLASS_H
#define JACKDAW_XMPP_PRECIS_CLASS_H

#include <stdbool.h>
#include <unicode/umachine.h>

enum precis_class {
    PRECIS_IDENTIFIER, /* RFC 8264 section 4.2 */
    PRECIS_FREEFORM,   /* RFC 8264 section 4.3 */
    PRECIS_DOMAIN /* RFC 5892: the identifier class without IgnorableBlocks; ASCII is left to the
                     caller */
};

/* `c` stands at unit `at` of the UTF-16 string; the contextual rules look around it. Unassigned:
 * false. */
bool precis_class_allows(enum precis_class class, UChar32 c, const UChar *text, int32_t len,
                         int32_t at);

/* The stringprep tables that RFC 6122 prohibits (RFC 3454 C.*) or maps to nothing (B.1), beyond
 * ASCII. */
bool precis_rfc6122_forbids(UChar32 c);

#endif
