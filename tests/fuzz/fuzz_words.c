/* Words for a search: valid, bounded, and as they would be cut again. */
#include <stdint.h>
#include <stdlib.h>

#include "xmpp/words.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool condition)
{
    if (!condition)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    size_t room = data[0] * 64u + 1, max = data[1];
    struct buffer once, twice;
    buffer_init(&once, room);
    buffer_init(&twice, room);
    words_cut((struct str){(const char *)data + 2, size - 2}, max, &once);
    must(!once.overflowed && str_utf8_valid(buffer_str(&once)));
    words_cut(buffer_str(&once), max, &twice);
    must(str_eq(buffer_str(&once), buffer_str(&twice)));
    buffer_finish(&once);
    buffer_finish(&twice);
    return 0;
}
