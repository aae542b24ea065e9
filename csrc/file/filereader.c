/* See capseal_filereader.h. */
#define _GNU_SOURCE /* O_NOFOLLOW, struct stat's nanoseconds */
#include "file/capseal_filereader.h"
#include <errno.h>

#ifdef _WIN32 /* compiled there, so that all else is; openat(2) and its kin are not to be had */

size_t capseal_read_files(int folder, const char *names, const int64_t *name_at, const int64_t *sizes,
                          const int64_t *changed_ns, const int64_t *data_at, size_t first, size_t last, int64_t start,
                          int64_t stop, uint8_t *out)
{
    (void)folder, (void)names, (void)name_at, (void)sizes, (void)changed_ns, (void)data_at, (void)first, (void)last;
    (void)start, (void)stop, (void)out;
    errno = ENOSYS;
    return 0;
}

#else

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#ifdef __APPLE__
#define CHANGED st_mtimespec
#else
#define CHANGED st_mtim
#endif

static int is_as_listed(int fd, int64_t size, int64_t changed_ns)
{
    struct stat now;
    if (fstat(fd, &now) < 0)
        return 0;
    return S_ISREG(now.st_mode) && now.st_size == size &&
           (int64_t)((uint64_t)now.CHANGED.tv_sec * 1000000000 + (uint64_t)now.CHANGED.tv_nsec) == changed_ns;
}

static int read_fully(int fd, uint8_t *out, int64_t size, int64_t offset)
{
    while (size > 0) {
        ssize_t count = pread(fd, out, (size_t)size, offset);
        if (count < 0 && errno == EINTR)
            continue;
        if (count == 0 || (count < 0 && errno == ESPIPE))
            errno = ESTALE; /* shorter, or no file any more */
        if (count <= 0)
            return -1;
        out += count, size -= count, offset += count;
    }
    return 0;
}

size_t capseal_read_files(int folder, const char *names, const int64_t *name_at, const int64_t *sizes,
                          const int64_t *changed_ns, const int64_t *data_at, size_t first, size_t last, int64_t start,
                          int64_t stop, uint8_t *out)
{
    for (size_t i = first; i < last; i++) {
        int64_t size = sizes[i], from = data_at[i], to = from + size;
        if (size < 0 || (size > 0 && (to <= start || from >= stop)))
            continue;
        if (from < start)
            from = start;
        if (to > stop)
            to = stop;
        /* Not blocking: what was a file may be a pipe by now. */
        int fd = openat(folder, names + name_at[i], O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (fd < 0)
            return i - first;
        int failed = from < to ? read_fully(fd, out + (from - start), to - from, from - data_at[i]) : 0;
        if (!failed && !is_as_listed(fd, size, changed_ns[i])) {
            errno = ESTALE;
            failed = -1;
        }
        int error = errno;
        close(fd);
        if (failed) {
            errno = error;
            return i - first;
        }
    }
    return last - first;
}

#endif
