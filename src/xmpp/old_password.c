/* Checks against MD5 and crypt(3). */
#include "xmpp/old_password.h"

#include <crypt.h>
#include <openssl/evp.h>
#include <stdlib.h>

#include "base/mem.h"

enum { A1_HEX = 32, CRYPT_PASSWORD_MAX = CRYPT_MAX_PASSPHRASE_SIZE - 1 };

const char *const old_password_names[OLD_PASSWORD_KINDS] = {
    [OLD_PASSWORD_PLAIN] = "plain",
    [OLD_PASSWORD_A1HASH] = "a1hash",
    [OLD_PASSWORD_CRYPT] = "crypt",
};

static bool is_hex(struct str value)
{
    for (size_t i = 0; i < value.len; i++) {
        char c = value.data[i];
        if ((c < '0' || c > '9') && (c < 'a' || c > 'f'))
            return false;
    }
    return true;
}

enum old_password old_password_guess(struct str value)
{
    if (value.len == A1_HEX && is_hex(value))
        return OLD_PASSWORD_A1HASH;
    const char *end =
        value.len > 3 && value.data[0] == '$' ? memchr(value.data + 1, '$', value.len - 1) : NULL;
    return end && end - value.data <= 4 && value.len >= 20 ? OLD_PASSWORD_CRYPT
                                                           : OLD_PASSWORD_PLAIN;
}

bool old_password_write(enum old_password kind, struct str value, struct str user, struct str realm,
                        struct buffer *out)
{
    if (kind == OLD_PASSWORD_CRYPT)
        return buffer_printf(out, "{crypt}%.*s", STR_ARG(value));
    return buffer_printf(out, "{a1hash}%.*s:%.*s:%.*s", STR_ARG(value), STR_ARG(user),
                         STR_ARG(realm));
}

static bool check_a1(struct str value, struct str password)
{
    unsigned char hash[EVP_MAX_MD_SIZE];
    char hex[A1_HEX];
    struct buffer input;
    if (value.len <= A1_HEX || value.data[A1_HEX] != ':')
        return false;
    buffer_init(&input, 1u << 16);
    buffer_add(&input, value.data + A1_HEX + 1, value.len - A1_HEX - 1);
    buffer_add_char(&input, ':');
    bool ok =
        buffer_add_str(&input, password) &&
        EVP_Digest(buffer_str(&input).data, buffer_len(&input), hash, NULL, EVP_md5(), NULL) == 1;
    if (ok)
        str_hex(hash, A1_HEX / 2, hex);
    mem_wipe(input.data, input.cap);
    buffer_finish(&input);
    return ok && str_eq_secret((struct str){hex, sizeof hex}, (struct str){value.data, A1_HEX});
}

static bool check_crypt(struct str value, struct str password)
{
    if (password.len > CRYPT_PASSWORD_MAX || memchr(password.data, '\0', password.len))
        return false;
    struct crypt_data *data = MEM_NEW(struct crypt_data);
    char *phrase = str_dup(password), *setting = str_dup(value);
    /* Not crypt_r, which sanitizers take the place of, so that nothing would need libcrypt then. */
    const char *made = crypt_rn(phrase, setting, data, (int)sizeof *data);
    bool ok = made && made[0] != '*' && str_eq_secret(str_of(made), value);
    mem_wipe(phrase, password.len);
    mem_wipe(data, sizeof *data);
    free(phrase);
    free(setting);
    free(data);
    return ok;
}

bool old_password_check(struct str stored, struct str password)
{
    static const struct str a1 = {"{a1hash}", 8}, crypted = {"{crypt}", 7};
    if (!password.len)
        return false;
    if (str_starts(stored, a1))
        return check_a1((struct str){stored.data + a1.len, stored.len - a1.len}, password);
    if (str_starts(stored, crypted))
        return check_crypt((struct str){stored.data + crypted.len, stored.len - crypted.len},
                           password);
    return false;
}
