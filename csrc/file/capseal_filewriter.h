/*
 * capseal_filewriter.h - many small files made in one call, for what a device unpacks.
 *
 * The kernel copies what goes into the files, which is plaintext; nothing here looks at it.
 */
#ifndef CAPSEAL_FILEWRITER_H
#define CAPSEAL_FILEWRITER_H

#include <stddef.h>
#include <stdint.h>

/*
 * Makes `count` new regular files in the open folder, following no link and replacing nothing, and closes them.
 *
 * names: theirs, one after the other, each ending in NUL and without '/'; of each file, modes: permissions, less
 * the umask, data_at: where its content starts in data, sizes: bytes.
 *
 * Returns how many were made: count, or fewer, and then errno says what is wrong with the next one, which may be
 * there in part. Nothing is synced.
 */
size_t capseal_write_files(int folder, const char *names, const uint32_t *modes, const int64_t *data_at,
                           const int64_t *sizes, size_t count, const uint8_t *data);

#endif
