/*
 * Hybrid kernel: 16 streams whose rounds run in SHA-NI while vector instructions work out the
 * message schedule of each stream's next chunk.
 *
 * In a SHA-NI kernel sha256msg1, sha256msg2 and what they need take as long as the rounds. Here the
 * vector units do their work, 16 streams at a time, and the SHA unit does nothing but rounds. The
 * two meet in memory: a step reads this chunk's WK from one buffer and writes the next chunk's into
 * the other, so neither waits for the other within a step. After the last chunk of a block comes the
 * padding, whose WK is constant; meanwhile the schedule of the next 16 blocks' first chunk runs.
 */
#include "sha256/kernels.h"

#ifdef CAPSEAL_X86_64

#include "sha256/generated/hybrid_step.h"
#include <immintrin.h>
#include <string.h>

#define LANES 16
#define WK_BYTES (LANES * 256)

/* For each half of a ymm register: the byte order, then K of the first 16 words, four by four. */
CAPSEAL_ALIGNED(64) static const struct {
    uint8_t big_endian[32];
    uint32_t k[4][8];
} table = {
    {3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12, 3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12},
    {{0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5},
     {0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5},
     {0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3},
     {0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174}}};

/* f e b a and h g d c from the lowest up, as sha256rnds2 wants them. */
static const uint8_t state_order[8] = {5, 4, 1, 0, 7, 6, 3, 2};

/* The same formula as wk_offset() in generate_steps.py, which explains it. */
static size_t wk_offset(size_t stream, size_t pair)
{
    size_t batch = stream / 8 * (WK_BYTES / 2), high = stream % 8 / 4, low = stream % 4;
    if (pair < 8)
        return batch + (pair / 2 * 4 + low) * 32 + high * 16 + pair % 2 * 8;
    return batch + 512 + (pair - 8) * 64 + low / 2 * 32 + high * 16 + low % 2 * 8;
}

CAPSEAL_TARGET_BEGIN("avx512f,avx512bw,avx512vl,sha")

/*
 * Runs the rounds of the chunk whose WK is in wk_now, and writes into wk_next the WK of the chunk
 * which each stream has at in + i * stride. Not inlined: it is 20 KB of code.
 */
static __attribute__((noinline)) void step(uint32_t (*state)[8], const uint8_t *wk_now, uint8_t *wk_next,
                                           const uint8_t *in, size_t stride)
{
    const uint8_t *first, *in4, *ahead;
    __asm__ volatile(CAPSEAL_HYBRID_STEP
                     : [in] "+r"(in), [in4] "=&r"(in4), [first] "=&r"(first), [ahead] "=&r"(ahead)
                     : [state] "r"(state), [wk_now] "r"(wk_now), [wk_next] "r"(wk_next), [stride] "r"(stride),
                       [stride3] "r"(3 * stride), [table] "r"(&table), [k] "r"(capseal_sha256_k)
                     : "memory", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9",
                       "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "xmm16", "xmm17", "xmm18", "xmm19",
                       "xmm20", "xmm21", "xmm22", "xmm23", "xmm24", "xmm25", "xmm26", "xmm27", "xmm28", "xmm29",
                       "xmm30", "xmm31");
}

static inline void two_rounds(__m128i *source, __m128i *destination, __m128i wk)
{
    *destination = _mm_sha256rnds2_epu32(*destination, *source, wk);
}

/* Rounds alone, for the last chunks of all, which have no schedule beside them. */
static __attribute__((noinline)) void rounds(uint32_t (*state)[8], const uint8_t *wk)
{
    for (size_t first = 0; first < LANES; first += 4) {
        __m128i abef[4], cdgh[4], *place = (__m128i *)state[first];
        for (int i = 0; i < 4; i++)
            abef[i] = place[2 * i], cdgh[i] = place[2 * i + 1];
        const uint8_t *p = wk + wk_offset(first, 0);
        for (int group = 0; group < 4; group++, p += 128)
            for (int i = 0; i < 4; i++) {
                __m128i four = _mm_load_si128((const __m128i *)(p + 32 * i));
                two_rounds(&abef[i], &cdgh[i], four);
                two_rounds(&cdgh[i], &abef[i], _mm_unpackhi_epi64(four, four));
            }
        for (int pair = 8; pair < 32; pair += 2, p += 128)
            for (int i = 0; i < 4; i++) {
                const uint8_t *two = p + i / 2 * 32 + i % 2 * 8;
                two_rounds(&abef[i], &cdgh[i], _mm_loadl_epi64((const __m128i *)two));
                two_rounds(&cdgh[i], &abef[i], _mm_loadl_epi64((const __m128i *)(two + 64)));
            }
        for (int i = 0; i < 4; i++) {
            place[2 * i] = _mm_add_epi32(place[2 * i], abef[i]);
            place[2 * i + 1] = _mm_add_epi32(place[2 * i + 1], cdgh[i]);
        }
    }
}

CAPSEAL_TARGET_END

void capseal_sha256_hybrid_x16(const uint8_t *data, size_t n, size_t block_bytes, uint8_t *out)
{
    CAPSEAL_ALIGNED(64) uint8_t wk[2][WK_BYTES + 64];
    CAPSEAL_ALIGNED(64) uint8_t padding[WK_BYTES];
    CAPSEAL_ALIGNED(64) uint32_t state[LANES][8];
    uint8_t tails[LANES][128];
    size_t whole = block_bytes / CAPSEAL_CHUNK_BYTES, chunks = whole;
    /* An empty block has no chunk before its padding, so it goes the way of the short ends. */
    int constant_padding = whole > 0 && capseal_padding_is_constant(block_bytes);
    if (n == 0)
        return;
    if (constant_padding) {
        uint32_t padding_wk[64];
        capseal_padding_schedule(block_bytes, padding_wk);
        for (size_t i = 0; i < LANES; i++)
            for (size_t pair = 0; pair < 32; pair++)
                memcpy(padding + wk_offset(i, pair), padding_wk + 2 * pair, 8);
    } else {
        chunks += block_bytes % CAPSEAL_CHUNK_BYTES < 56 ? 1 : 2;
    }

    int now = 0;
    int first_is_scheduled = 0; /* its WK is in wk[now] already */
    memset(state, 0, sizeof state);
    for (size_t done = 0; done < n; done += LANES) {
        const uint8_t *first = data + done * block_bytes, *after = first + LANES * block_bytes;
        for (size_t i = 0; i < LANES && !constant_padding; i++)
            capseal_tail_chunks(first + i * block_bytes, block_bytes, tails[i]);
        if (!first_is_scheduled) {
            /* Nothing was before: the rounds run on what nobody reads. */
            memset(wk[!now], 0, WK_BYTES);
            step(state, wk[!now], wk[now], whole ? first : tails[0], whole ? block_bytes : sizeof tails[0]);
        }
        for (size_t i = 0; i < LANES; i++)
            for (int j = 0; j < 8; j++)
                state[i][j] = capseal_sha256_iv[state_order[j]];
        for (size_t c = 1; c < chunks; c++, now = !now) {
            if (c < whole)
                step(state, wk[now], wk[!now], first + c * CAPSEAL_CHUNK_BYTES, block_bytes);
            else
                step(state, wk[now], wk[!now], tails[0] + (c - whole) * CAPSEAL_CHUNK_BYTES, sizeof tails[0]);
        }
        if (constant_padding && done + LANES < n) {
            /* Both chunks that are left have time to schedule the next blocks' first one. That it is
               done twice brings its lines, from 16 pages not touched so far, closer beforehand. */
            step(state, wk[now], wk[!now], after, block_bytes);
            step(state, padding, wk[now], after, block_bytes);
            first_is_scheduled = 1;
        } else {
            rounds(state, wk[now]);
            if (constant_padding)
                rounds(state, padding);
        }
        for (size_t i = 0; i < LANES; i++) {
            uint32_t digest[8];
            for (int j = 0; j < 8; j++)
                digest[state_order[j]] = state[i][j];
            capseal_store_digest(digest, out + (done + i) * CAPSEAL_DIGEST_BYTES);
        }
    }
}

#else
typedef int capseal_hybrid_is_for_x86_64; /* ISO C wants at least one declaration */
#endif
