/* Making: a configuration of ours while it is made out of the files of jabberd2's. */
#ifndef JACKDAW_MOVE_MAKING_H
#define JACKDAW_MOVE_MAKING_H

#include "base/buffer.h"
#include "move/source.h"
#include "xml/stanza.h"

/* Their files. */
enum { ROUTER, SM, C2S, S2S, FILES };

/* The sections of ours. */
enum {
    SECTION_SERVER,
    SECTION_C2S,
    SECTION_AUTH,
    SECTION_LDAP,
    SECTION_ROUTER,
    SECTION_S2S,
    SECTION_SM,
    SECTION_DOMAINS,
    SECTIONS
};
enum { DOMAINS_MAX = 1000, SECTION_MAX = 1 << 20 };

struct making {
    const char *dir;
    struct stanza *files[FILES]; /* NULL: not there */
    struct buffer sections[SECTIONS];
    struct buffer hint; /* how the data is imported */
    bool hinted;
    struct move_notes *notes;
    char *domains[DOMAINS_MAX];
    size_t domain_count;
};

extern const char *const making_files[FILES]; /* "router" */

/* --- reading theirs --- */

/* Without blanks around it. */
struct str making_trimmed(struct str s);
/* The element at "local/id" of a file's root; STANZA_NONE when it is not there. */
stanza_el making_find(const struct making *m, int file, const char *path);
/* The next sibling of that name; for what may be there several times. */
stanza_el making_same_after(const struct making *m, int file, stanza_el el);
/* Trimmed; no data when the element is not there. */
struct str making_text_of(const struct making *m, int file, stanza_el el);
struct str making_text_at(const struct making *m, int file, const char *path);
/* The document that an element of theirs names; the caller unrefs it. NULL: it names none, or none
 * that can be read, which is noted. */
struct stanza *making_document_at(struct making *m, int file, const char *element);

/* --- writing ours --- */

/* In single quotes, where nothing is expanded. */
void making_quote(struct buffer *out, struct str s);
void making_put(struct making *m, int section, const char *key, struct str value);
void making_put_word(struct making *m, int section, const char *key, const char *word);
/* A list of the texts of an element and its siblings of the same name. */
void making_put_texts(struct making *m, int section, const char *key, int file, stanza_el el);

#endif
