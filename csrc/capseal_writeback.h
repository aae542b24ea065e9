/* capseal_writeback.h - have the kernel write a file to the disk while it is still being made. */
#ifndef CAPSEAL_WRITEBACK_H
#define CAPSEAL_WRITEBACK_H

#include <stdint.h>

/*
 * Starts to write a range of a file, in bytes, and does not wait for it. Only a hint: a later fsync()
 * waits for the rest and tells what failed. Does nothing where the system knows no such hint.
 */
void capseal_start_writeback(int fd, int64_t offset, int64_t size);

#endif
