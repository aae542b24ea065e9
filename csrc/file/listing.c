/* See capseal_listing.h. */
#define _GNU_SOURCE /* dirfd, struct stat's nanoseconds */
#include "file/capseal_listing.h"
#include <errno.h>

#ifdef _WIN32 /* compiled there, so that all else is; openat(2) and its kin are not to be had */

int64_t capseal_list_folder(const char *path, char *names, size_t names_bytes, int64_t *table, size_t rows)
{
    (void)path, (void)names, (void)names_bytes, (void)table, (void)rows;
    return -ENOSYS;
}

#else

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#ifdef __APPLE__
#define CHANGED st_mtimespec
#else
#define CHANGED st_mtim
#endif

int64_t capseal_list_folder(const char *path, char *names, size_t names_bytes, int64_t *table, size_t rows)
{
    DIR *folder = opendir(path);
    if (folder == NULL)
        return -errno;
    int64_t count = 0;
    int error = 0;
    for (;;) {
        errno = 0;
        struct dirent *entry = readdir(folder);
        if (entry == NULL) {
            error = errno;
            break;
        }
        const char *name = entry->d_name;
        if (name[0] == '.' && (name[1] == 0 || (name[1] == '.' && name[2] == 0)))
            continue;
        size_t size = strlen(name) + 1;
        if (size > names_bytes || (size_t)count == rows) {
            error = ENOBUFS;
            break;
        }
        struct stat now;
        if (fstatat(dirfd(folder), name, &now, AT_SYMLINK_NOFOLLOW) < 0) {
            error = errno;
            break;
        }
        memcpy(names, name, size);
        names += size, names_bytes -= size;
        int64_t *row = table + count * CAPSEAL_LISTED_FIELDS;
        row[0] = S_ISREG(now.st_mode)   ? CAPSEAL_LISTED_FILE
                 : S_ISDIR(now.st_mode) ? CAPSEAL_LISTED_FOLDER
                                        : CAPSEAL_LISTED_OTHER;
        row[1] = now.st_size;
        row[2] = (int64_t)((uint64_t)now.CHANGED.tv_sec * 1000000000 + (uint64_t)now.CHANGED.tv_nsec);
        count++;
    }
    closedir(folder);
    return error ? -error : count;
}

#endif
