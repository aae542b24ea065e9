/*
 * capseal_zipheaders.h - the headers of many entries of a zip in one call, for the zip of a folder.
 *
 * Names, sizes and CRCs of files are looked at, and the time that takes tells nothing more than they do. What
 * all headers have in common is the caller's, who knows the format (PKWARE APPNOTE 6.3, sections 4.3.7 and 4.3.12).
 */
#ifndef CAPSEAL_ZIPHEADERS_H
#define CAPSEAL_ZIPHEADERS_H

#include <stddef.h>
#include <stdint.h>

#define CAPSEAL_ZIP_LOCAL_BYTES 30
#define CAPSEAL_ZIP_CENTRAL_BYTES 46
#define CAPSEAL_ZIP_MAX32 0xffffffffu

/* Entries of a zip; columns of equal length. All numbers fit into the fields of a plain zip. */
typedef struct {
    const char *names;      /* one after the other, each ending in NUL; a folder's with '/' before that */
    const int64_t *name_at; /* of each: the offset of its name there, and of one name more */
    const int64_t *methods;
    const int64_t *packed; /* bytes */
    const int64_t *sizes;  /* bytes */
    const int64_t *starts; /* offset of the local header in the zip */
} capseal_zip_entries;

/*
 * Writes the local headers of entries first to last - 1 into a buffer that begins at offset start of the zip and
 * holds all of them. crcs: theirs; fixed: a header in which method, CRC, sizes and length of the name are open.
 */
void capseal_put_local_headers(const capseal_zip_entries *entries, size_t first, size_t last, const int64_t *crcs,
                               const char *fixed, int64_t start, uint8_t *out);

/*
 * Writes what the central directory says of the first count entries, one after the other. crcs: theirs; file, folder:
 * headers in which method, CRC, sizes, length of the name and offset are open.
 */
void capseal_put_directory(const capseal_zip_entries *entries, size_t count, const int64_t *crcs, const char *file,
                           const char *folder, uint8_t *out);

/*
 * Writes what the central directory says of the entries of a zip whose local headers lie in a piece of it, one after
 * the other, from *at on. start: offset of the piece in the zip; fixed, file, folder: as above. Of what is between the
 * headers not a byte is looked at.
 *
 * It ends in front of a header that is not wholly in the piece, differs from the fixed one in what is not open, has no
 * name, an extra field, or a number that does not fit into a plain zip; behind the piece, where an entry goes on there;
 * and where out has no room (twice the piece is always enough). Sets *at to where it ends and adds to *count how many
 * entries there were. Returns the bytes written.
 */
size_t capseal_put_directory_of(const uint8_t *piece, size_t piece_bytes, int64_t start, const char *fixed,
                                const char *file, const char *folder, size_t *at, size_t *count, uint8_t *out,
                                size_t room);

#endif
