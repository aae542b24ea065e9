/* capseal_checkedsend.h - bytes of a file to a socket, none before its segment was digested and compared. */
#ifndef CAPSEAL_CHECKEDSEND_H
#define CAPSEAL_CHECKEDSEND_H

#include <stddef.h>
#include <stdint.h>

/*
 * What is sent of a file of whole segments, of which the last may be short. All are bytes of the file.
 *
 * at: the next one that is sent; stop: one past the last; end: the file's size, so at <= stop <= end.
 * held_from, held_to: what buffer holds, which was compared; equal at first.
 */
typedef struct {
    int64_t at, stop, end;
    int64_t held_from, held_to;
} capseal_checked_span;

/*
 * Reads segment after segment into buffer, compares its index entry (capseal_sha256_segments()) with the signed
 * one and writes it from there, until all is written or the descriptor takes no more. What is written is what was
 * digested: it is not read again.
 *
 * file: open for reading; entries: 32 bytes for each segment of the file; to: a descriptor that does not block, or
 * -1, which reads and compares one segment and writes nothing; buffer: 524288 writable bytes, the same ones and
 * left alone for as long as span is used.
 *
 * Gives the bytes that were written. Fewer than were left: the next call says why, which is -EAGAIN where the
 * peer takes nothing now. -EBADMSG: the segment that span->at is in differs, and buffer is what it is; -ENODATA: the
 * file ends within it; another negative errno of read or write. What was written until then counts first.
 */
int64_t capseal_send_checked(int kernel, int file, capseal_checked_span *span, const uint8_t *entries, int to,
                             uint8_t *buffer);

#endif
