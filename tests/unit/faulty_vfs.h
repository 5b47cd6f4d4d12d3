/* A disk that can fail: SQLite's own VFS with writes and fsyncs that return what a test asks for.
 */
#ifndef JACKDAW_TESTS_FAULTY_VFS_H
#define JACKDAW_TESTS_FAULTY_VFS_H

void faulty_vfs_install(void); /* as the default VFS, for files opened from now on */
/* SQLite result codes, SQLITE_OK for a healthy disk. Any thread. */
void faulty_vfs_fail(int on_write, int on_sync);

#endif
