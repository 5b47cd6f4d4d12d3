/* Records of strangers' DNS servers: no bytes may do more than be refused, and what is accepted
 * keeps its promises. The same bytes are taken as the name somebody wants resolved. */
#include <stdlib.h>
#include <string.h>

#include "resolver/host_name.h"
#include "resolver/order.h"
#include "resolver/rdata.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

static bool is_host(const char *name)
{
    return strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_.") == strlen(name) &&
           !strstr(name, "..") && name[0] != '.';
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str bytes = {(const char *)data, size};
    struct rdata_srv srv;
    struct rdata_tlsa tlsa;
    char ip[RDATA_IP_MAX], again[RDATA_IP_MAX], name[DNS_NAME_MAX], same[DNS_NAME_MAX];

    if (rdata_srv(bytes, &srv))
        require(is_host(srv.target) && strlen(srv.target) < DNS_NAME_MAX);
    if (rdata_tlsa(bytes, &tlsa))
        require(tlsa.data.data + tlsa.data.len == bytes.data + bytes.len);
    if (rdata_address(bytes, ip))
        require(order_literal(str_of(ip), again) && strcmp(ip, again) == 0);
    if (order_literal(bytes, ip))
        require(order_literal(str_of(ip), again) && strcmp(ip, again) == 0);
    if (host_name(bytes, name))
        require(is_host(name) && host_name(str_of(name), same) && strcmp(name, same) == 0);
    return 0;
}
