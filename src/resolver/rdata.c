/* RDATA of SRV, TLSA, A and AAAA. Names in it are not compressed: libunbound unpacks them (and RFC
 * 2782 forbids compression in SRV anyway). */
#include "resolver/rdata.h"

#include <arpa/inet.h>
#include <string.h>

static uint16_t u16(const char *bytes)
{
    return (uint16_t)((uint8_t)bytes[0] << 8 | (uint8_t)bytes[1]);
}

/* Lower case; '\0' for what a host's name has none of. */
static char host_char(char c)
{
    if (c >= 'A' && c <= 'Z')
        return (char)(c - 'A' + 'a');
    bool ok = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
    return ok ? c : '\0';
}

static bool label(struct str bytes, char *out)
{
    for (size_t i = 0; i < bytes.len; i++) {
        out[i] = host_char(bytes.data[i]);
        if (!out[i])
            return false;
    }
    return true;
}

/* Labels with their length in front, up to the root's empty one (RFC 1035 section 3.1). */
static bool name(struct str wire, char out[DNS_NAME_MAX])
{
    size_t at = 0, len = 0;

    while (at < wire.len) {
        size_t size = (uint8_t)wire.data[at++];
        if (size == 0) {
            out[len > 0 ? len - 1 : 0] = '\0'; /* over the last dot */
            return at == wire.len;
        }
        if (size > 63 || size > wire.len - at || len + size + 1 > DNS_NAME_MAX ||
            !label((struct str){wire.data + at, size}, out + len))
            return false;
        at += size;
        len += size;
        out[len++] = '.';
    }
    return false;
}

bool rdata_srv(struct str rdata, struct rdata_srv *ret)
{
    struct rdata_srv srv;

    if (rdata.len < 7 || !name((struct str){rdata.data + 6, rdata.len - 6}, srv.target))
        return false;
    srv.priority = u16(rdata.data);
    srv.weight = u16(rdata.data + 2);
    srv.port = u16(rdata.data + 4);
    *ret = srv;
    return true;
}

bool rdata_tlsa(struct str rdata, struct rdata_tlsa *ret)
{
    if (rdata.len < 4)
        return false;
    *ret = (struct rdata_tlsa){.usage = (uint8_t)rdata.data[0],
                               .selector = (uint8_t)rdata.data[1],
                               .matching = (uint8_t)rdata.data[2],
                               .data = {rdata.data + 3, rdata.len - 3}};
    return true;
}

/* 0.0.0.0/8 is "this host", 224/3 multicast, reserved and broadcast (RFC 6890); :: and ff00::/8
 * likewise. */
static bool is_host(const uint8_t *bytes, size_t len)
{
    static const uint8_t unspecified[16];

    if (len == 4)
        return bytes[0] != 0 && bytes[0] < 224;
    return memcmp(bytes, unspecified, len) != 0 && bytes[0] != 0xff;
}

bool rdata_address(struct str rdata, char ret[RDATA_IP_MAX])
{
    if ((rdata.len != 4 && rdata.len != 16) || !is_host((const uint8_t *)rdata.data, rdata.len))
        return false;
    return inet_ntop(rdata.len == 4 ? AF_INET : AF_INET6, rdata.data, ret, RDATA_IP_MAX) != NULL;
}
