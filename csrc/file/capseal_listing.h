/*
 * capseal_listing.h - a folder's files with their sizes, in one call.
 */
#ifndef CAPSEAL_LISTING_H
#define CAPSEAL_LISTING_H

#include <stddef.h>
#include <stdint.h>

#define CAPSEAL_LISTED_FIELDS 3 /* of an entry in the table: kind, size in bytes, last change in nanoseconds */
#define CAPSEAL_LISTED_FILE 0
#define CAPSEAL_LISTED_FOLDER 1
#define CAPSEAL_LISTED_OTHER 2 /* a link, which is not followed, or a special file */

/*
 * Lists what is in a folder, in any order, without '.' and '..'.
 *
 * names: takes their names, each with its final NUL; table: a row for each. Returns the number of entries,
 * -ENOBUFS where they do not fit, or another negative errno.
 */
int64_t capseal_list_folder(const char *path, char *names, size_t names_bytes, int64_t *table, size_t rows);

#endif
