/* XEP-0227 files: no input may crash the reader, and what was made of one, written as XEP-0227, is
 * read again as the same. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "move/pie.h"

enum { ROOM = 1 << 26, PERSONS = 64 };

struct read {
    struct buffer text;
    size_t persons;
    enum error error;
};

/* Everything in the file, written again. */
static void read_all(const char *path, struct read *r)
{
    char why[512] = "";
    struct move_notes notes = {0};
    struct move_source *s = pie_open(path, &notes, (struct move_why){why, sizeof why});
    struct person *p = NULL;
    if (!s)
        abort();
    pie_write_begin(&r->text);
    while ((r->error = s->ops->next(s, &p)) == ERR_OK && p && r->persons < PERSONS) {
        (void)person_sort(p);
        free(p->password);
        p->password = NULL;
        pie_write_host(&r->text, jid_domain(p->jid));
        pie_write_person(&r->text, p);
        pie_write_host_end(&r->text);
        person_destroy(p);
        r->persons++;
    }
    person_destroy(r->error == ERR_OK ? p : NULL);
    pie_write_end(&r->text);
    if ((r->error != ERR_OK) != (why[0] != '\0')) /* refused exactly when something was said */
        abort();
    move_close(s);
}

static void write_file(const char *path, struct str text)
{
    FILE *file = fopen(path, "we");
    if (!file || fwrite(text.data, 1, text.len, file) != text.len || fclose(file) != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    struct read first = {0}, second = {0};
    snprintf(path, sizeof path, "/tmp/jackdaw-fuzz-pie-%d.xml", (int)getpid());
    buffer_init(&first.text, ROOM);
    buffer_init(&second.text, ROOM);
    write_file(path, (struct str){size ? (const char *)data : "", size});
    read_all(path, &first);
    write_file(path, buffer_str(&first.text));
    read_all(path, &second);
    if (second.error != ERR_OK || first.persons != second.persons ||
        !str_eq(buffer_str(&first.text), buffer_str(&second.text)))
        abort();
    (void)unlink(path);
    buffer_finish(&first.text);
    buffer_finish(&second.text);
    return 0;
}
