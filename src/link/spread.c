/* Spread: rendezvous hashing over node names. */
#include "link/spread.h"

#include "base/hash.h"

/* Part of the contract between processes: everybody must spread alike, so this key is a constant.
 * It protects nothing; tables that strangers can fill are keyed at random. */
static const uint64_t seed[2] = {0x6a61636b64617721u, 0x726f757465723031u};

uint64_t spread_node(struct str own_name)
{
    return hash_bytes(seed, own_name.data, own_name.len);
}

uint64_t spread_key(struct str key)
{
    return hash_bytes(seed, key.data, key.len);
}

/* A good mix of two hashes (the finalizer of splitmix64). */
uint64_t spread_weight(uint64_t key, uint64_t node)
{
    uint64_t x = key ^ node;

    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

struct str spread_pick(struct str names, struct str key)
{
    struct str best = STR_NULL, name;
    uint64_t hash = spread_key(key), best_weight = 0, best_node = 0;

    while (str_split(&names, ' ', &name)) {
        uint64_t node = spread_node(name), weight = spread_weight(hash, node);
        if (!best.data || weight > best_weight || (weight == best_weight && node < best_node)) {
            best = name;
            best_weight = weight;
            best_node = node;
        }
    }
    return best;
}
