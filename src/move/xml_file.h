/* XML files of people: with comments, and with white space wherever they like. */
#ifndef JACKDAW_MOVE_XML_FILE_H
#define JACKDAW_MOVE_XML_FILE_H

#include "move/source.h"
#include "xml/stanza.h"

enum { XML_FILE_MAX = 16 << 20, XML_FILE_DEPTH = 64 };

/* The whole document; comments are left out, a DTD is not taken. NOT_FOUND: there is no such file.
 */
enum error xml_file_read(const char *path, struct stanza **ret, struct move_why why);

#endif
