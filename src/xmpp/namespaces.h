/* Namespaces as struct str constants: NS_CLIENT, NS_ROSTER ... from namespaces.def. */
#ifndef JACKDAW_XMPP_NAMESPACES_H
#define JACKDAW_XMPP_NAMESPACES_H

#include "base/str.h"

#define X(id, uri) extern const struct str NS_##id;
#include "xmpp/namespaces.def"
#undef X

#endif
