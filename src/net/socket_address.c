/* Addresses as text and as the kernel wants them. */
#include "net/socket_address.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

static bool parse_local(const char *path, union socket_address *ret, socklen_t *ret_len)
{
    size_t len = strlen(path);
    if (len == 0 || len >= sizeof ret->local.sun_path)
        return false;
    ret->local.sun_family = AF_UNIX;
    memcpy(ret->local.sun_path, path, len + 1);
    *ret_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + 1);
    return true;
}

static bool parse_v6(const char *text, uint16_t port, union socket_address *ret, socklen_t *ret_len)
{
    char ip[INET6_ADDRSTRLEN];
    const char *scope = strchr(text, '%');
    size_t len = scope ? (size_t)(scope - text) : strlen(text);
    if (len >= sizeof ip)
        return false;
    memcpy(ip, text, len);
    ip[len] = '\0';
    if (inet_pton(AF_INET6, ip, &ret->v6.sin6_addr) != 1)
        return false;
    if (scope && (ret->v6.sin6_scope_id = if_nametoindex(scope + 1)) == 0)
        return false;
    ret->v6.sin6_family = AF_INET6;
    ret->v6.sin6_port = htons(port);
    *ret_len = sizeof ret->v6;
    return true;
}

bool socket_address_parse(const struct net_address *at, union socket_address *ret,
                          socklen_t *ret_len)
{
    memset(ret, 0, sizeof *ret);
    if (strncmp(at->ip, NET_UNIX_PREFIX, strlen(NET_UNIX_PREFIX)) == 0)
        return parse_local(at->ip + strlen(NET_UNIX_PREFIX), ret, ret_len);
    if (inet_pton(AF_INET, at->ip, &ret->v4.sin_addr) == 1) {
        ret->v4.sin_family = AF_INET;
        ret->v4.sin_port = htons(at->port);
        *ret_len = sizeof ret->v4;
        return true;
    }
    return parse_v6(at->ip, at->port, ret, ret_len);
}

void socket_address_format(const union socket_address *from, struct net_address *ret)
{
    memset(ret, 0, sizeof *ret);
    if (from->any.sa_family == AF_INET) {
        inet_ntop(AF_INET, &from->v4.sin_addr, ret->ip, sizeof ret->ip);
        ret->port = ntohs(from->v4.sin_port);
    } else if (from->any.sa_family == AF_INET6) {
        inet_ntop(AF_INET6, &from->v6.sin6_addr, ret->ip, sizeof ret->ip);
        ret->port = ntohs(from->v6.sin6_port);
    } else {
        snprintf(ret->ip, sizeof ret->ip, "%s", NET_UNIX_PREFIX);
    }
}
