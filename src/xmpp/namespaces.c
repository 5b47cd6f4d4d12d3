/* The namespace constants of namespaces.h, one definition each. */
#include "xmpp/namespaces.h"

#define X(id, uri) const struct str NS_##id = {uri, sizeof(uri) - 1};
#include "xmpp/namespaces.def"
#undef X
