/* See capseal_match.h. */
#include "match/capseal_match.h"

#include <errno.h>
#include <string.h>

#define WINDOW CAPSEAL_MATCH_WINDOW
#define PROBES 5    /* slots looked at for one hash, so that a base of equal windows takes no longer */
#define MAX_SKIP 64 /* bytes of a point edit */

/* Odd constants with well-mixed bits: 2^64 by the golden ratio, and a multiplier of rrmxmx (Pelle Evensen). */
static const uint64_t FACTOR = 0x9E3779B185EBCA87u;
static const uint64_t MIXER = 0xD6E8FEB86659FD93u;

/* A polynomial in FACTOR modulo 2^64, so that a byte can be taken out at one end as one comes in at the other. */
static uint64_t hash_of(const uint8_t *window)
{
    uint64_t hash = 0;
    for (int i = 0; i < WINDOW; i++)
        hash = hash * FACTOR + window[i] + 1;
    return hash;
}

static uint64_t mixed(uint64_t hash)
{
    hash *= MIXER;
    return hash ^ hash >> 32;
}

static uint64_t slot_of(uint64_t mix, uint32_t table_bits)
{
    return mix * FACTOR >> (64 - table_bits);
}

static uint64_t bit_of(uint64_t mix, uint32_t table_bits)
{
    return mix & ((UINT64_C(1) << (table_bits + 3)) - 1);
}

/* How many bytes are equal, at most so many. */
static uint64_t equal_bytes(const uint8_t *a, const uint8_t *b, uint64_t most)
{
    uint64_t i = 0;
    while (i + 32 <= most && memcmp(a + i, b + i, 32) == 0)
        i += 32;
    while (i < most && a[i] == b[i])
        i++;
    return i;
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

int capseal_match_enter(const capseal_match_index *index)
{
    if (index->step == 0 || index->table_bits < 1 || index->table_bits > 31)
        return -EINVAL;
    uint64_t windows = index->base_bytes < WINDOW ? 0 : (index->base_bytes - WINDOW) / index->step + 1;
    uint64_t slots = UINT64_C(1) << index->table_bits;
    if (windows >= slots)
        return -EINVAL;
    for (uint64_t number = 0; number < windows; number++) {
        uint64_t mix = mixed(hash_of(index->base + number * index->step));
        uint64_t bit = bit_of(mix, index->table_bits);
        uint64_t slot = slot_of(mix, index->table_bits);
        index->filter[bit >> 3] |= (uint8_t)(1u << (bit & 7));
        for (int probe = 0; probe < PROBES; probe++, slot = (slot + 1) & (slots - 1)) {
            if (index->table[slot] == CAPSEAL_MATCH_EMPTY) {
                index->table[slot] = (uint32_t)number;
                break;
            }
        }
    }
    return 0;
}

/* The longest match around the window at `at`; 0 bytes where there is none. */
static uint64_t longest(const capseal_match_index *index, const uint8_t *fresh, uint64_t fresh_bytes, uint64_t at,
                        uint64_t done, uint64_t mix, uint64_t *match)
{
    uint64_t slots = UINT64_C(1) << index->table_bits, slot = slot_of(mix, index->table_bits), best = 0;
    for (int probe = 0; probe < PROBES; probe++, slot = (slot + 1) & (slots - 1)) {
        if (index->table[slot] == CAPSEAL_MATCH_EMPTY)
            break;
        uint64_t in_base = (uint64_t)index->table[slot] * index->step;
        uint64_t most = smaller(index->base_bytes - in_base, fresh_bytes - at);
        uint64_t ahead = equal_bytes(index->base + in_base, fresh + at, most);
        if (ahead < WINDOW)
            continue;
        uint64_t back = 0, most_back = smaller(at - done, in_base);
        while (back < most_back && fresh[at - back - 1] == index->base[in_base - back - 1])
            back++;
        if (back + ahead > best) {
            best = back + ahead;
            match[0] = at - back;
            match[1] = in_base - back;
            match[2] = best;
        }
    }
    return best;
}

/* The match that goes on behind a point edit on the diagonal of the one before; 0 bytes where there is none. */
static uint64_t on_diagonal(const capseal_match_index *index, const uint8_t *fresh, uint64_t fresh_bytes,
                            const capseal_match_place *place, uint64_t *match)
{
    for (uint64_t skip = 1; skip <= MAX_SKIP; skip++) {
        uint64_t at = place->done + skip, in_base = at + (uint64_t)place->diagonal;
        if (at + WINDOW > fresh_bytes || in_base + WINDOW > index->base_bytes)
            return 0;
        if (memcmp(fresh + at, index->base + in_base, WINDOW) == 0) {
            uint64_t most = smaller(index->base_bytes - in_base, fresh_bytes - at);
            match[0] = at;
            match[1] = in_base;
            match[2] = equal_bytes(fresh + at, index->base + in_base, most);
            return match[2];
        }
    }
    return 0;
}

int64_t capseal_match_find(const capseal_match_index *index, const uint8_t *fresh, uint64_t fresh_bytes,
                           uint64_t least_bytes, capseal_match_place *place, uint64_t *matches, size_t room)
{
    uint64_t outgoing = 1; /* what the oldest byte of a window is multiplied by */
    for (int i = 0; i < WINDOW - 1; i++)
        outgoing *= FACTOR;
    size_t count = 0;
    uint64_t hash = 0;
    int hashed = 0;
    while (count < room) {
        uint64_t *match = matches + count * CAPSEAL_MATCH_FIELDS, bytes = 0;
        if (place->retry) {
            bytes = on_diagonal(index, fresh, fresh_bytes, place, match);
            place->retry = 0;
        }
        else {
            uint64_t at = place->at;
            if (at + WINDOW > fresh_bytes)
                break;
            if (!hashed)
                hash = hash_of(fresh + at);
            hashed = 1;
            uint64_t mix = mixed(hash), bit = bit_of(mix, index->table_bits);
            if (index->filter[bit >> 3] >> (bit & 7) & 1)
                bytes = longest(index, fresh, fresh_bytes, at, place->done, mix, match);
            if (bytes < least_bytes || bytes == 0) {
                if (at + WINDOW < fresh_bytes)
                    hash = (hash - (fresh[at] + UINT64_C(1)) * outgoing) * FACTOR + fresh[at + WINDOW] + 1;
                place->at = at + 1;
            }
        }
        if (bytes >= least_bytes && bytes > 0) {
            place->at = place->done = match[0] + bytes;
            place->diagonal = (int64_t)(match[1] - match[0]);
            place->retry = 1;
            hashed = 0;
            count++;
        }
    }
    return (int64_t)count;
}
