/* See capseal_checkedsend.h. */
#define _GNU_SOURCE /* pread(2) */
#include "file/capseal_checkedsend.h"
#include "sha256/capseal_hash.h"
#include <errno.h>

#ifdef _WIN32 /* compiled there, so that all else is; pread(2) is not to be had */

int64_t capseal_send_checked(int kernel, int file, capseal_checked_span *span, const uint8_t *entries, int to,
                             uint8_t *buffer)
{
    (void)kernel, (void)file, (void)span, (void)entries, (void)to, (void)buffer;
    return -ENOSYS;
}

#else

#include <string.h>
#include <unistd.h>

static int read_segment(int file, uint8_t *buffer, int64_t size, int64_t offset)
{
    while (size > 0) {
        ssize_t count = pread(file, buffer, (size_t)size, offset);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return -errno;
        if (count == 0)
            return -ENODATA;
        buffer += count, size -= count, offset += count;
    }
    return 0;
}

/* Has the segment that span->at is in in the buffer, compared. */
static int hold(int kernel, int file, capseal_checked_span *span, const uint8_t *entries, uint8_t *buffer)
{
    int64_t segment = span->at / CAPSEAL_SEGMENT_BYTES, from = segment * CAPSEAL_SEGMENT_BYTES;
    int64_t size = span->end - from < CAPSEAL_SEGMENT_BYTES ? span->end - from : CAPSEAL_SEGMENT_BYTES;
    uint8_t entry[CAPSEAL_DIGEST_BYTES];
    span->held_from = span->held_to = from; /* nothing, should this fail */
    int error = read_segment(file, buffer, size, from);
    if (!error)
        error = capseal_sha256_segments(kernel, buffer, (size_t)size, entry);
    if (!error && memcmp(entry, entries + segment * CAPSEAL_DIGEST_BYTES, sizeof entry) != 0)
        error = -EBADMSG;
    if (!error)
        span->held_to = from + size;
    return error;
}

int64_t capseal_send_checked(int kernel, int file, capseal_checked_span *span, const uint8_t *entries, int to,
                             uint8_t *buffer)
{
    const int64_t start = span->at;
    if (start < 0 || start > span->stop || span->stop > span->end)
        return -EINVAL;
    while (span->at < span->stop) {
        int error = 0;
        if (span->at < span->held_from || span->at >= span->held_to)
            error = hold(kernel, file, span, entries, buffer);
        if (error)
            return span->at > start ? span->at - start : error;
        if (to < 0)
            break;
        int64_t until = span->held_to < span->stop ? span->held_to : span->stop;
        ssize_t count = write(to, buffer + (span->at - span->held_from), (size_t)(until - span->at));
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return span->at > start ? span->at - start : -errno;
        span->at += count;
    }
    return span->at - start;
}

#endif
