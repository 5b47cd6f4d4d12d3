/* Between our textual addresses and the kernel's. */
#ifndef JACKDAW_NET_SOCKET_ADDRESS_H
#define JACKDAW_NET_SOCKET_ADDRESS_H

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "net/net.h"

union socket_address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_un local;
};

#define NET_UNIX_PREFIX "unix:"

/* False when `at->ip` is neither an IP address ("fe80::1%eth0" with scope is one) nor "unix:" and a
 * path. */
bool socket_address_parse(const struct net_address *at, union socket_address *ret,
                          socklen_t *ret_len);
void socket_address_format(const union socket_address *from, struct net_address *ret);

#endif
