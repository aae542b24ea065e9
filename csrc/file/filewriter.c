/* See capseal_filewriter.h. */
#define _GNU_SOURCE /* O_NOFOLLOW, openat */
#include "file/capseal_filewriter.h"
#include <errno.h>

#ifdef _WIN32 /* compiled there, so that all else is; openat(2) and its kin are not to be had */

size_t capseal_write_files(int folder, const char *names, const uint32_t *modes, const int64_t *data_at,
                           const int64_t *sizes, size_t count, const uint8_t *data)
{
    (void)folder, (void)names, (void)modes, (void)data_at, (void)sizes, (void)count, (void)data;
    errno = ENOSYS;
    return 0;
}

#else

#include <fcntl.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static int write_fully(int fd, const uint8_t *data, int64_t size)
{
    while (size > 0) {
        ssize_t count = write(fd, data, (size_t)size);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return -1;
        data += count, size -= count;
    }
    return 0;
}

size_t capseal_write_files(int folder, const char *names, const uint32_t *modes, const int64_t *data_at,
                           const int64_t *sizes, size_t count, const uint8_t *data)
{
    for (size_t i = 0; i < count; i++) {
        int fd = openat(folder, names, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, (mode_t)modes[i]);
        if (fd < 0)
            return i;
        int failed = write_fully(fd, data + data_at[i], sizes[i]);
        int error = errno;
        /* Closed in any case; some file systems tell only now what went wrong. */
        if (close(fd) < 0 && errno != EINTR && !failed) {
            error = errno;
            failed = -1;
        }
        if (failed) {
            errno = error;
            return i;
        }
        names += strlen(names) + 1;
    }
    return count;
}

#endif
