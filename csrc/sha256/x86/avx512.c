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

/* Words 0 to 3 of the 128-bit lanes' four streams each, from four rows of one stream a lane. */
static inline void transpose(__m512i columns[4], const __m512i rows[4])
{
    __m512i a = _mm512_unpacklo_epi32(rows[0], rows[1]), b = _mm512_unpackhi_epi32(rows[0], rows[1]);
    __m512i c = _mm512_unpacklo_epi32(rows[2], rows[3]), d = _mm512_unpackhi_epi32(rows[2], rows[3]);
    columns[0] = _mm512_unpacklo_epi64(a, c);
    columns[1] = _mm512_unpackhi_epi64(a, c);
    columns[2] = _mm512_unpacklo_epi64(b, d);
    columns[3] = _mm512_unpackhi_epi64(b, d);
}

static inline void load_words(__m512i w[8], const uint8_t *in, size_t stride)
{
    const __m512i big_endian = _mm512_broadcast_i32x4(_mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203));
    /* gcc at -O2 would not unroll by itself, and keep all of this in memory. */
    __m512i halves[2][4]; /* [h][j]: words j and j + 4 of streams 8h to 8h + 3, the same of 8h + 4 to 8h + 7 */
    CAPSEAL_PRAGMA(GCC unroll 2)
    for (size_t h = 0; h < 2; h++) {
        __m512i rows[4]; /* eight words of streams 8h + i and 8h + i + 4 */
        CAPSEAL_PRAGMA(GCC unroll 4)
        for (size_t i = 0; i < 4; i++) {
            const uint8_t *low = in + (8 * h + i) * stride, *high = low + 4 * stride;
            __m512i row = _mm512_castsi256_si512(_mm256_loadu_si256((const __m256i *)low));
            row = _mm512_inserti64x4(row, _mm256_loadu_si256((const __m256i *)high), 1);
            rows[i] = _mm512_shuffle_epi8(row, big_endian);
        }
        transpose(halves[h], rows);
    }
    CAPSEAL_PRAGMA(GCC unroll 4)
    for (int j = 0; j < 4; j++) {
        w[j] = _mm512_shuffle_i32x4(halves[0][j], halves[1][j], 0x88);
        w[j + 4] = _mm512_shuffle_i32x4(halves[0][j], halves[1][j], 0xdd);
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
