/* Files in the making: fallocate(2), sync_file_range(2), syncfs(2), and madvise(2) MADV_COLLAPSE for huge pages. */
#ifdef __linux__
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25 /* Linux 6.1; C libraries name it later */
#endif
/* linux/magic.h, which not every C library comes with */
#define TMPFS_MAGIC 0x01021994
#define EXT_MAGIC 0xEF53
#define XFS_MAGIC 0x58465342
#define BTRFS_MAGIC 0x9123683E
#define F2FS_MAGIC 0xF2F52010
#endif
#include "file/capseal_pagecache.h"
#include <errno.h>

#ifdef __linux__

void capseal_preallocate(int fd, int64_t size)
{
    struct statvfs found;

    /* To ask for more than there is would take all of it from everybody else before it fails. */
    if (capseal_is_in_memory(fd) || fstatvfs(fd, &found) != 0 || (uint64_t)size / found.f_frsize >= found.f_bavail)
        return;
    (void)fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, size);
}

void capseal_start_writeback(int fd, int64_t offset, int64_t size)
{
    /* Without the flags that wait, it takes no error away from fsync(). */
    (void)sync_file_range(fd, offset, size, SYNC_FILE_RANGE_WRITE);
}

/* The huge pages around a range, and how far into the first of them it starts. */
struct around {
    int64_t start;
    size_t size, before;
};

static struct around huge_pages_around(int64_t offset, size_t size)
{
    size_t before = (size_t)(offset % CAPSEAL_HUGE_BYTES), whole = before + size + CAPSEAL_HUGE_BYTES - 1;
    return (struct around){offset - (int64_t)before, whole - whole % CAPSEAL_HUGE_BYTES, before};
}

uint8_t *capseal_map(int fd, int64_t offset, size_t size, int writable)
{
    struct around pages = huge_pages_around(offset, size);
    /* A huge page can be used as one only where address and offset are aligned alike; any address comes
       from a larger reservation, whose ends are given back. */
    size_t reserved = pages.size + CAPSEAL_HUGE_BYTES;
    uint8_t *space = mmap(NULL, reserved, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (space == MAP_FAILED)
        return NULL;
    size_t ahead = -(uintptr_t)space % CAPSEAL_HUGE_BYTES, behind = CAPSEAL_HUGE_BYTES - ahead;
    uint8_t *data = space + ahead;
    if (ahead)
        munmap(space, ahead);
    munmap(data + pages.size, behind);
    int protection = writable ? PROT_READ | PROT_WRITE : PROT_READ;
    if (mmap(data, pages.size, protection, MAP_SHARED | MAP_FIXED, fd, pages.start) == MAP_FAILED) {
        int error = errno;
        munmap(data, pages.size);
        errno = error;
        return NULL;
    }
    return data + pages.before;
}

void capseal_unmap(const uint8_t *data, int64_t offset, size_t size)
{
    struct around pages = huge_pages_around(offset, size);
    munmap((void *)(uintptr_t)(data - pages.before), pages.size);
}

int capseal_is_in_memory(int fd)
{
    struct statfs system;
    return fstatfs(fd, &system) == 0 && system.f_type == TMPFS_MAGIC;
}

/* linux/mman.h of Linux 6.5; C libraries have no call for it yet. */
#define CACHESTAT_CALL 451 /* the same number everywhere but on alpha */
struct cached_range {
    uint64_t offset, size;
};
struct cached_pages {
    uint64_t cached, dirty, in_writeback, evicted, recently_evicted;
};

int capseal_is_cached(int fd, int64_t offset, int64_t size)
{
#ifdef __alpha__
    (void)fd, (void)offset, (void)size;
    return 0;
#else
    if (offset < 0 || size <= 0)
        return 0;
    struct cached_range range = {(uint64_t)offset, (uint64_t)size};
    struct cached_pages found = {0, 0, 0, 0, 0};
    if (syscall(CACHESTAT_CALL, fd, &range, &found, 0) != 0)
        return 0;
    int64_t page = sysconf(_SC_PAGESIZE);
    return found.cached >= (uint64_t)((offset + size - 1) / page - offset / page + 1);
#endif
}

int capseal_can_sync_file_system(int fd)
{
    struct utsname system;
    int major = 0, minor = 0;
    if (uname(&system) != 0 || sscanf(system.release, "%d.%d", &major, &minor) != 2 ||
        major < 5 || (major == 5 && minor < 8))
        return 0;
    struct statfs files;
    if (fstatfs(fd, &files) != 0)
        return 0;
    switch ((uint32_t)files.f_type) {
    case TMPFS_MAGIC:
    case EXT_MAGIC:
    case XFS_MAGIC:
    case BTRFS_MAGIC:
    case F2FS_MAGIC:
        return 1;
    default:
        return 0;
    }
}

int capseal_sync_file_system(int fd)
{
    if (!capseal_can_sync_file_system(fd))
        return -EOPNOTSUPP;
    return syncfs(fd) == 0 ? 0 : -errno;
}

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int64_t capseal_allocate_huge(int fd, int64_t offset)
{
    int64_t start = now_ns();
    struct stat file;
    if (offset < 0 || offset % CAPSEAL_HUGE_BYTES != 0)
        return -EINVAL;
    if (!capseal_is_in_memory(fd))
        return -EOPNOTSUPP;
    /* The kernel collapses nothing that is all hole: one small page has to be there, within the file. */
    if (fstat(fd, &file) != 0 || (file.st_size <= offset && ftruncate(fd, offset + 1) != 0) ||
        fallocate(fd, FALLOC_FL_KEEP_SIZE, offset, 1) != 0)
        return -errno;
    uint8_t *page = capseal_map(fd, offset, CAPSEAL_HUGE_BYTES, 1);
    if (page == NULL)
        return -errno;
    int error = madvise(page, CAPSEAL_HUGE_BYTES, MADV_COLLAPSE) == 0 ? 0 : -errno;
    capseal_unmap(page, offset, CAPSEAL_HUGE_BYTES);
    return error ? error : now_ns() - start;
}

#else /* hints that are not taken */

void capseal_preallocate(int fd, int64_t size)
{
    (void)fd, (void)size;
}

void capseal_start_writeback(int fd, int64_t offset, int64_t size)
{
    (void)fd, (void)offset, (void)size;
}

int64_t capseal_allocate_huge(int fd, int64_t offset)
{
    (void)fd, (void)offset;
    return -EOPNOTSUPP;
}

uint8_t *capseal_map(int fd, int64_t offset, size_t size, int writable)
{
    (void)fd, (void)offset, (void)size, (void)writable;
    errno = EOPNOTSUPP;
    return NULL;
}

void capseal_unmap(const uint8_t *data, int64_t offset, size_t size)
{
    (void)data, (void)offset, (void)size;
}

int capseal_is_in_memory(int fd)
{
    (void)fd;
    return 0;
}

int capseal_is_cached(int fd, int64_t offset, int64_t size)
{
    (void)fd, (void)offset, (void)size;
    return 0;
}

int capseal_can_sync_file_system(int fd)
{
    (void)fd;
    return 0;
}

int capseal_sync_file_system(int fd)
{
    (void)fd;
    return -EOPNOTSUPP;
}

#endif
