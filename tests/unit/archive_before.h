/* An archive as it was before step 16 of users, and what it must be behind it. For both databases.
 */
#ifndef JACKDAW_TEST_ARCHIVE_BEFORE_H
#define JACKDAW_TEST_ARCHIVE_BEFORE_H

enum { ARCHIVE_BEFORE = 15 };

#define ARCHIVE_ROWS                                                                               \
    "INSERT INTO \"mam\" VALUES ('a@x', 20, -7, 'b@y', 'there', 1, 'm1', 4, '<m1>'),"              \
    " ('a@x', 10, 8, 'b@y', '', 0, 'm2', 4, '<m2>'), ('b@y', 20, 9, 'a@x', 'here', 0, 'm1', 4,"    \
    " '<m1>')"

/* One query for each row, which counts it. */
static const char *const archive_after[] = {
    "SELECT count(*) FROM \"mam-rows\" WHERE \"collection-owner\" = 'a@x' AND \"object-sequence\" "
    "= 20 AND"
    " \"mark\" = -7 AND \"with\" = 'b@y' AND \"resource\" = 'there' AND \"sent\" = 1 AND "
    "\"stanza\" = 'm1' AND"
    " \"size\" = 4 AND \"xml\" = '<m1>'",
    "SELECT count(*) FROM \"mam-rows\" WHERE \"collection-owner\" = 'a@x' AND \"object-sequence\" "
    "= 10 AND"
    " \"mark\" = 8 AND \"with\" = 'b@y' AND \"resource\" = '' AND \"sent\" = 0 AND \"xml\" = "
    "'<m2>'",
    "SELECT count(*) FROM \"mam-rows\" WHERE \"collection-owner\" = 'b@y' AND \"object-sequence\" "
    "= 20 AND"
    " \"mark\" = 9 AND \"with\" = 'a@x' AND \"resource\" = 'here' AND \"sent\" = 0",
};
enum { ARCHIVE_AFTER = sizeof archive_after / sizeof *archive_after };

#endif
