/*
 * libFuzzer harness: whatever two files hold, what csrc/match finds in both is there, in order, and never overlaps.
 *
 *   clang -g -O2 -fsanitize=fuzzer,address,undefined -Icsrc $(find csrc -name "*.c" ! -name "_native.c") tests/native/fuzz_match.c
 *
 * Input: step, bits of the table, least match, rows at once, and how many bytes the base has (a number of two bytes,
 * little-endian, times four); then steps of three bytes from which both files are made, so that they have much in common.
 */
#include "match/capseal_match.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

#define MOST_BYTES ((size_t)8192)

static void demand(int condition)
{
    if (!condition)
        abort();
}

/* Bytes without rhyme, of few kinds where `kinds` is small, so that windows collide. */
static void fill(uint8_t *to, size_t bytes, uint32_t seed, unsigned kinds)
{
    for (size_t i = 0; i < bytes; i++) {
        seed = seed * 1664525u + 1013904223u;
        to[i] = (uint8_t)((seed >> 24) % kinds);
    }
}

/* Each step takes a stretch of the base, or new bytes; what comes out is at most MOST_BYTES long. */
static size_t make_fresh(const uint8_t *steps, size_t count, const uint8_t *base, size_t base_bytes, uint8_t *to)
{
    size_t made = 0;
    for (size_t i = 0; i < count; i++) {
        const uint8_t *step = steps + 3 * i;
        size_t at = (size_t)(step[0] & 0x7f) * 64 + step[1] % 64, bytes = step[2];
        if (bytes > MOST_BYTES - made)
            break;
        if (step[0] & 0x80 || at + bytes > base_bytes)
            fill(to + made, bytes, step[1], 1 + step[0] % 255u);
        else
            memcpy(to + made, base + at, bytes);
        made += bytes;
    }
    return made;
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
    static uint8_t made[MOST_BYTES];
    if (size < 6)
        return 0;
    size_t base_bytes = (size_t)(input[4] | input[5] << 8) * 4 % MOST_BYTES, room = input[3] % 5u;
    uint64_t least = input[2];
    capseal_match_index index = {.base_bytes = base_bytes, .step = input[0], .table_bits = input[1] % 16u};
    size_t slots = (size_t)1 << index.table_bits;
    uint8_t *base = malloc(base_bytes + 1);
    index.table = malloc(slots * sizeof *index.table), index.filter = calloc(1, slots + 1);
    /* Exactly as many rows as may be written, so that AddressSanitizer sees one too many. */
    uint64_t *rows = malloc((room * CAPSEAL_MATCH_FIELDS + (room == 0)) * sizeof *rows);
    demand(base && index.table && index.filter && rows);
    fill(base, base_bytes, input[0], 1 + input[1] % 255u);
    memset(index.table, 0xff, slots * sizeof *index.table);
    index.base = base;
    size_t fresh_bytes = make_fresh(input + 6, (size - 6) / 3, base, base_bytes, made);
    uint8_t *fresh = malloc(fresh_bytes + (fresh_bytes == 0));
    demand(fresh != NULL);
    memcpy(fresh, made, fresh_bytes);

    uint64_t windows = index.step && base_bytes >= CAPSEAL_MATCH_WINDOW ? (base_bytes - CAPSEAL_MATCH_WINDOW) / index.step + 1 : 0;
    int entered = capseal_match_enter(&index);
    demand(entered == (index.step == 0 || index.table_bits < 1 || windows >= slots ? -EINVAL : 0));
    capseal_match_place place = {0};
    uint64_t done = 0;
    int64_t found = (int64_t)room;
    while (entered == 0 && room > 0 && found == (int64_t)room) {
        found = capseal_match_find(&index, fresh, fresh_bytes, least, &place, rows, room);
        demand(found >= 0 && found <= (int64_t)room);
        for (int64_t row = 0; row < found; row++) {
            const uint64_t *match = rows + row * CAPSEAL_MATCH_FIELDS;
            demand(match[0] >= done && match[2] > 0 && match[2] >= least);
            demand(match[0] <= fresh_bytes && match[2] <= fresh_bytes - match[0]);
            demand(match[1] <= base_bytes && match[2] <= base_bytes - match[1]);
            demand(memcmp(fresh + match[0], base + match[1], match[2]) == 0);
            done = match[0] + match[2];
        }
    }
    free(base), free(index.table), free(index.filter), free(rows), free(fresh);
    return 0;
}
