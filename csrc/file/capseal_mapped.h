/* capseal_mapped.h - digests of a file where it lies in memory, safe from files that shrink meanwhile. */
#ifndef CAPSEAL_MAPPED_H
#define CAPSEAL_MAPPED_H

#include <stddef.h>
#include <stdint.h>

/*
 * What capseal_sha256_segments() gives, for data_bytes bytes of a file from offset on, any offset. They are
 * mapped and not copied, and public as all that is digested is.
 *
 * Gives -EFAULT, and out is undefined, where the file does not hold them, or no longer: that the file
 * shrinks meanwhile does no harm. For this, the first call of the process installs a handler of SIGBUS,
 * which passes on every signal that is not its own. -EOPNOTSUPP where somebody else has taken its place
 * since, or where the system has no such signal; a negative errno where the range cannot be mapped.
 */
int capseal_sha256_file_segments(int kernel, int fd, int64_t offset, size_t data_bytes, uint8_t *out);

#endif
