/*
 * capseal_match.h - where bytes of a new file stand in an old one.
 *
 * The one part of the compiled module that sees plaintext: both files of a publisher, on the publisher's own machine
 * (docs/threats.md, Both sides). It is given no key, and its time tells of both files to whoever can measure it there.
 *
 * No function allocates; all memory is the caller's, of any alignment, and no two arguments may overlap.
 */
#ifndef CAPSEAL_MATCH_H
#define CAPSEAL_MATCH_H

#include <stddef.h>
#include <stdint.h>

#define CAPSEAL_MATCH_WINDOW 32 /* bytes that are hashed together */
#define CAPSEAL_MATCH_FIELDS 3  /* of a match: offset in the new file, offset in the base, bytes */
#define CAPSEAL_MATCH_EMPTY 0xffffffffu

/* What is known of the base: its windows at each multiple of step, by their hash. */
typedef struct {
    const uint8_t *base;
    uint64_t base_bytes;
    uint32_t step;       /* bytes, at least 1 */
    uint32_t table_bits; /* 1 to 31 */
    uint32_t *table;     /* 2^table_bits slots, at first all CAPSEAL_MATCH_EMPTY; more slots than windows */
    uint8_t *filter;     /* 2^(table_bits + 3) bits, at first all 0 */
} capseal_match_index;

/* Where the search is; all zero at the start. */
typedef struct {
    uint64_t at;      /* offset in the new file from which it goes on: the end of the last match, or behind it */
    int64_t diagonal; /* of the last match: its offset in the base less that in the new file */
    uint64_t done;    /* end of the last match */
    int32_t retry;    /* whether the diagonal is to be tried again first */
} capseal_match_place;

/* Enters all windows of the base. Returns 0, or -EINVAL where the fields do not agree. */
int capseal_match_enter(const capseal_match_index *index);

/*
 * Finds matches in the order of the new file, none overlapping another there, each of at least least_bytes.
 *
 * A window of the new file that is in the index is extended both ways, back to the end of the match before; the
 * longest of at most five candidates is taken. Behind a match, up to 64 bytes are skipped where 32 equal ones follow on
 * its diagonal: point edits. matches: room rows of CAPSEAL_MATCH_FIELDS. Returns how many were found, fewer than
 * room only at the end of the new file; called again with the same place, it goes on.
 */
int64_t capseal_match_find(const capseal_match_index *index, const uint8_t *fresh, uint64_t fresh_bytes,
                           uint64_t least_bytes, capseal_match_place *place, uint64_t *matches, size_t room);

#endif
