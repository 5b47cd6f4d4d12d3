/* Configuration files: no input may crash the reader, be refused without a word, or change how the
 * next file is read (libconfuse's lexer has global state). */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"

static void count(void *arg, const char *message)
{
    size_t *problems = arg;
    if (!message[0])
        abort();
    (*problems)++;
}

static void must_still_read(void)
{
    size_t problems = 0;
    struct config *c = config_load_text(
        "good",
        STR("c2s {\n port = 5999\n address = {\"127.0.0.1\", ::1}\n}\nadmins = {'a@b'}\n"
            "domain \"x.y\" { tls = off }"),
        count, &problems);
    if (!c || problems || c->c2s_port != 5999 || c->c2s_address.count != 2 ||
        c->server_admins.count != 1 || strcmp(config_for(c, STR("x.y"))->domain_tls, "off") != 0 ||
        strcmp(config_origin(c, "c2s.port"), "good:2:9") != 0)
        abort();
    config_destroy(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t problems = 0;
    struct config *c =
        config_load_text("fuzz", (struct str){(const char *)data, size}, count, &problems);
    if ((c == NULL) != (problems > 0)) /* refused exactly when something was said */
        abort();
    if (c && (c->c2s_port < 0 || c->c2s_port > 65535 || !c->c2s_tls[0]))
        abort();
    config_destroy(c);
    must_still_read();
    return 0;
}
