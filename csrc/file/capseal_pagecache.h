/* capseal_pagecache.h - how the kernel keeps a file while it is being made. Sees no byte of it. */
#ifndef CAPSEAL_PAGECACHE_H
#define CAPSEAL_PAGECACHE_H

#include <stddef.h>
#include <stdint.h>

#define CAPSEAL_HUGE_BYTES 2097152 /* a huge page where pages have 4096 bytes */

/*
 * Has the file system find room for the first size bytes of a file, all at once; its size stays as it is.
 * Only a hint, for files on disk: does nothing where there is no room or no such call.
 */
void capseal_preallocate(int fd, int64_t size);

/*
 * Starts to write a range of a file, in bytes, and does not wait for it. Only a hint: a later fsync()
 * waits for the rest and tells what failed. Does nothing where the system knows no such hint.
 */
void capseal_start_writeback(int fd, int64_t offset, int64_t size);

/*
 * Makes one huge page of what a file holds, or will hold, from offset on, a multiple of CAPSEAL_HUGE_BYTES.
 *
 * For files that live in memory (tmpfs) only. What was written stays, the rest are holes that read as 0. A
 * file that ends before is made longer, to a size of offset + 1, and the page is taken whole, so a file
 * that ends within it has to be cut to its size in the end. Gives the nanoseconds that it took, or a
 * negative errno, -EOPNOTSUPP where there is no such thing.
 */
int64_t capseal_allocate_huge(int fd, int64_t offset);

/*
 * Maps a range of a file, in bytes, so that huge pages in it can be used as such.
 *
 * offset: of the first byte, any; writable: 0, or 1 for a file that is open for both. To touch a byte
 * beyond the file's end raises SIGBUS. Returns the address of the first byte, or NULL and sets errno.
 */
uint8_t *capseal_map(int fd, int64_t offset, size_t size, int writable);

/* Takes back what capseal_map() gave for the same offset and size. */
void capseal_unmap(const uint8_t *data, int64_t offset, size_t size);

/*
 * Has all of a file system on disk, as fsync() of each file and folder on it would, or tells what failed.
 *
 * fd: a folder on it, opened before the first byte of what matters was written: what could not be written since
 * then is told. Returns 0 or a negative errno: -EOPNOTSUPP, and nothing is done, where that is not sure (a kernel
 * before Linux 5.8 keeps errors to itself, FUSE asks nobody) or there is no such call.
 */
int capseal_sync_file_system(int fd);

/* 1 where capseal_sync_file_system() would do something, else 0. */
int capseal_can_sync_file_system(int fd);

/*
 * 1 where all of a range of a file, in bytes, is in the page cache now, else 0: also where that cannot be told
 * (before Linux 6.5, or where cachestat(2) is not allowed).
 */
int capseal_is_cached(int fd, int64_t offset, int64_t size);

/* 1 where a file lives in memory (tmpfs), else 0. */
int capseal_is_in_memory(int fd);

#endif
