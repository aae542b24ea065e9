/*
 * capseal_filereader.h - many small files in one call, for the zip of a folder.
 *
 * The kernel copies what is in the files, which is plaintext, into the caller's buffer; nothing here looks at
 * it. Names, sizes and times are looked at, and the time that takes tells nothing more than they do.
 */
#ifndef CAPSEAL_FILEREADER_H
#define CAPSEAL_FILEREADER_H

#include <stddef.h>
#include <stdint.h>

/*
 * Fills out with what files first to last - 1 have in bytes start to stop of a whole that they are laid out in.
 *
 * names: paths below the open folder, each ending in NUL; of each file, name_at: the offset of its path there,
 * sizes: bytes (negative: no file, passed over), changed_ns: the time of its last change in nanoseconds, data_at:
 * where its data starts in the whole. out has stop - start bytes; what belongs to no file stays as it is.
 *
 * Returns how many files were gone through: last - first, or fewer, and then errno says what is wrong with
 * the next one, ESTALE where it is not as the caller says, before, while or after it was read.
 */
size_t capseal_read_files(int folder, const char *names, const int64_t *name_at, const int64_t *sizes,
                          const int64_t *changed_ns, const int64_t *data_at, size_t first, size_t last, int64_t start,
                          int64_t stop, uint8_t *out);

#endif
