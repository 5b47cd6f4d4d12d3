/* DIGEST-MD5: neither side may crash on, or be convinced by, the messages of a peer without the
 * secret. */
#include <stdint.h>
#include <stdlib.h>

#include "xmpp/digest_md5.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str in = {(const char *)data, size}, user, first, rest = in;
    struct buffer out;
    struct random *random = random_create_seeded(1);
    buffer_init(&out, 65536);
    struct digest_md5 *server =
        digest_md5_server(STR("jabberd-router"), STR("jabberd-router"), random);
    digest_md5_challenge(server, &out);
    if (digest_md5_response(server, in, &user) &&
        digest_md5_check(server, STR("not to be guessed: 8f2b61d07c"), &out))
        abort();
    digest_md5_destroy(server);
    /* the challenge and rspauth on two lines */
    struct digest_md5 *client =
        digest_md5_client(STR("jabberd"), STR("not to be guessed: 8f2b61d07c"),
                          STR("jabberd-router"), STR("localhost"), random);
    str_split(&rest, '\n', &first);
    buffer_clear(&out);
    digest_md5_answer(client, first, &out);
    if (digest_md5_verify(client, rest.data ? rest : STR("")))
        abort();
    digest_md5_destroy(client);
    random_destroy(random);
    buffer_finish(&out);
    return 0;
}
