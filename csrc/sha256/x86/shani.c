/*
 * SHA-NI kernels: one stream in plain intrinsics, and four interleaved streams.
 *
 * One stream waits for sha256rnds2's latency most of the time. Four keep the unit busy, but only
 * while the instructions stay in a good order and the state stays in registers: compilers made
 * anything from 2.0 to 4.1 GB/s of the same intrinsics. So the four-stream step is generated
 * assembly (generate_steps.py) and the same from every compiler.
 */
#include "sha256/kernels.h"

#ifdef CAPSEAL_X86_64

#include "sha256/generated/shani_step.h"
#include <immintrin.h>

#define LANES 4

CAPSEAL_TARGET_BEGIN("sha,sse4.1,ssse3")

/* The order of words that sha256rnds2 wants: f e b a, and h g d c, from the lowest up. */
struct pair {
    __m128i abef, cdgh;
};

static struct pair load_state(const uint32_t state[8])
{
    __m128i dcba = _mm_loadu_si128((const __m128i *)state);
    __m128i hgfe = _mm_loadu_si128((const __m128i *)(state + 4));
    __m128i cdab = _mm_shuffle_epi32(dcba, 0xb1), efgh = _mm_shuffle_epi32(hgfe, 0x1b);
    return (struct pair){_mm_alignr_epi8(cdab, efgh, 8), _mm_blend_epi16(efgh, cdab, 0xf0)};
}

static void store_state(uint32_t state[8], struct pair s)
{
    __m128i feba = _mm_shuffle_epi32(s.abef, 0x1b), dchg = _mm_shuffle_epi32(s.cdgh, 0xb1);
    _mm_storeu_si128((__m128i *)state, _mm_blend_epi16(feba, dchg, 0xf0));
    _mm_storeu_si128((__m128i *)(state + 4), _mm_alignr_epi8(dchg, feba, 8));
}

static inline void four_rounds(struct pair *s, __m128i wk)
{
    s->cdgh = _mm_sha256rnds2_epu32(s->cdgh, s->abef, wk);
    s->abef = _mm_sha256rnds2_epu32(s->abef, s->cdgh, _mm_unpackhi_epi64(wk, wk));
}

static void compress_x1(uint32_t (*state)[8], const uint8_t *in, size_t stride, size_t chunks)
{
    (void)stride; /* one lane */
    const __m128i big_endian = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
    struct pair s = load_state(*state);
    for (; chunks > 0; chunks--, in += CAPSEAL_CHUNK_BYTES) {
        struct pair before = s;
        __m128i w[4];
        for (int g = 0; g < 16; g++) {
            __m128i *newest = &w[g % 4];
            if (g < 4) {
                *newest = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(in + 16 * g)), big_endian);
            } else {
                __m128i last = w[(g + 3) % 4], mixed = _mm_sha256msg1_epu32(*newest, w[(g + 1) % 4]);
                mixed = _mm_add_epi32(mixed, _mm_alignr_epi8(last, w[(g + 2) % 4], 4));
                *newest = _mm_sha256msg2_epu32(mixed, last);
            }
            four_rounds(&s, _mm_add_epi32(*newest, _mm_load_si128((const __m128i *)(capseal_sha256_k + 4 * g))));
        }
        s.abef = _mm_add_epi32(s.abef, before.abef);
        s.cdgh = _mm_add_epi32(s.cdgh, before.cdgh);
    }
    store_state(*state, s);
}

static inline void rounds(uint32_t (*state)[8], const uint32_t wk[64], size_t lanes)
{
    struct pair s[LANES], before[LANES];
    for (size_t i = 0; i < lanes; i++)
        s[i] = before[i] = load_state(state[i]);
    for (int g = 0; g < 16; g++)
        for (size_t i = 0; i < lanes; i++)
            four_rounds(&s[i], _mm_loadu_si128((const __m128i *)(wk + 4 * g)));
    for (size_t i = 0; i < lanes; i++) {
        s[i].abef = _mm_add_epi32(s[i].abef, before[i].abef);
        s[i].cdgh = _mm_add_epi32(s[i].cdgh, before[i].cdgh);
        store_state(state[i], s[i]);
    }
}

static void rounds_x1(uint32_t (*state)[8], const uint32_t wk[64]) { rounds(state, wk, 1); }

static void rounds_x4(uint32_t (*state)[8], const uint32_t wk[64]) { rounds(state, wk, LANES); }

static void compress_x4(uint32_t (*state)[8], const uint8_t *in, size_t stride, size_t chunks)
{
    struct pair s[LANES];
    CAPSEAL_ALIGNED(16) uint8_t w[LANES * 256];
    CAPSEAL_ALIGNED(16) static const uint8_t big_endian[16] = {3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12};
    for (int i = 0; i < LANES; i++)
        s[i] = load_state(state[i]);
    for (; chunks > 0; chunks--, in += CAPSEAL_CHUNK_BYTES) {
        /* The four blocks after these: on the way into the cache while these are digested. */
        uintptr_t ahead = (uintptr_t)in + LANES * stride;
        __asm__ volatile(CAPSEAL_SHANI_STEP
                         :
                         : [state] "r"(s), [in] "r"(in), [stride] "r"(stride), [stride3] "r"(3 * stride),
                           [ahead] "r"(ahead), [w] "r"(w), [k] "r"(capseal_sha256_k), [order] "r"(big_endian)
                         : "memory", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9",
                           "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
    }
    for (int i = 0; i < LANES; i++)
        store_state(state[i], s[i]);
}

void capseal_sha256_shani_x1(const uint8_t *data, size_t n, size_t block_bytes, uint8_t *out)
{
    static const struct capseal_engine engine = {1, compress_x1, rounds_x1};
    capseal_digest_lanes(&engine, data, n, block_bytes, out);
}

void capseal_sha256_shani_x4(const uint8_t *data, size_t n, size_t block_bytes, uint8_t *out)
{
    static const struct capseal_engine engine = {LANES, compress_x4, rounds_x4};
    capseal_digest_lanes(&engine, data, n, block_bytes, out);
}

CAPSEAL_TARGET_END

#else
typedef int capseal_shani_is_for_x86_64; /* ISO C wants at least one declaration */
#endif
