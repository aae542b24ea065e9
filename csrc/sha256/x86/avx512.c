/* AVX-512 kernel: sixteen streams, one per lane. For processors without SHA extensions. */
#include "sha256/kernels.h"

#ifdef CAPSEAL_X86_64

#include <immintrin.h>

CAPSEAL_TARGET_BEGIN("avx512f,avx512bw,avx512vl")

#define LANES 16
#define VEC __m512i
#define ADD(x, y) _mm512_add_epi32(x, y)
#define SHR(x, n) _mm512_srli_epi32(x, n)
#define ROTR(x, n) _mm512_ror_epi32(x, n)
#define XOR3(x, y, z) _mm512_ternarylogic_epi32(x, y, z, 0x96)
#define CHOOSE(x, y, z) _mm512_ternarylogic_epi32(x, y, z, 0xca)
#define MAJORITY(x, y, z) _mm512_ternarylogic_epi32(x, y, z, 0xe8)
#define SET1(x) _mm512_set1_epi32((int)(x))
#define LOAD(p) _mm512_load_si512(p)
#define STORE(p, v) _mm512_store_si512(p, v)

static inline void load_words(__m512i w[16], const uint8_t *in, size_t stride)
{
    const __m512i big_endian = _mm512_broadcast_i32x4(_mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203));
    __m512i groups[4][4]; /* [i][g]: words 4g to 4g+3 of streams i, i + 4, i + 8 and i + 12 */
    for (size_t i = 0; i < 4; i++) {
        __m512i rows[4];
        for (size_t q = 0; q < 4; q++)
            rows[q] = _mm512_shuffle_epi8(_mm512_loadu_si512(in + (i + 4 * q) * stride), big_endian);
        __m512i a = _mm512_shuffle_i32x4(rows[0], rows[1], 0x44), b = _mm512_shuffle_i32x4(rows[0], rows[1], 0xee);
        __m512i c = _mm512_shuffle_i32x4(rows[2], rows[3], 0x44), d = _mm512_shuffle_i32x4(rows[2], rows[3], 0xee);
        groups[i][0] = _mm512_shuffle_i32x4(a, c, 0x88);
        groups[i][1] = _mm512_shuffle_i32x4(a, c, 0xdd);
        groups[i][2] = _mm512_shuffle_i32x4(b, d, 0x88);
        groups[i][3] = _mm512_shuffle_i32x4(b, d, 0xdd);
    }
    for (int g = 0; g < 4; g++) {
        __m512i a = _mm512_unpacklo_epi32(groups[0][g], groups[1][g]);
        __m512i b = _mm512_unpackhi_epi32(groups[0][g], groups[1][g]);
        __m512i c = _mm512_unpacklo_epi32(groups[2][g], groups[3][g]);
        __m512i d = _mm512_unpackhi_epi32(groups[2][g], groups[3][g]);
        w[4 * g + 0] = _mm512_unpacklo_epi64(a, c);
        w[4 * g + 1] = _mm512_unpackhi_epi64(a, c);
        w[4 * g + 2] = _mm512_unpacklo_epi64(b, d);
        w[4 * g + 3] = _mm512_unpackhi_epi64(b, d);
    }
}

#include "sha256/wide.h"

void capseal_sha256_avx512_x16(const uint8_t *data, size_t n, size_t block_bytes, uint8_t *out)
{
    static const struct capseal_engine engine = {LANES, compress, rounds};
    capseal_digest_lanes(&engine, data, n, block_bytes, out);
}

CAPSEAL_TARGET_END

#else
typedef int capseal_avx512_is_for_x86_64; /* ISO C wants at least one declaration */
#endif
