/* The sum of the hashes of rows. */
#include "store/row_hash.h"

#include <openssl/evp.h>
#include <stdlib.h>

void row_hash_add(unsigned char sum[ROW_HASH], struct str row)
{
    unsigned char hash[EVP_MAX_MD_SIZE];
    uint64_t part, whole;
    if (EVP_Digest(row.data, row.len, hash, NULL, EVP_sha256(), NULL) != 1)
        abort();
    for (size_t i = 0; i < ROW_HASH; i += sizeof part) {
        memcpy(&part, hash + i, sizeof part);
        memcpy(&whole, sum + i, sizeof whole);
        whole += part;
        memcpy(sum + i, &whole, sizeof whole);
    }
}
