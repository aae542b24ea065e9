/* AVX2 kernel: eight streams, one per lane. For processors without SHA extensions. */
#include "sha256/kernels.h"

#ifdef CAPSEAL_X86_64

#include <immintrin.h>

CAPSEAL_TARGET_BEGIN("avx2")

#define LANES 8
#define VEC __m256i
#define ADD(x, y) _mm256_add_epi32(x, y)
#define SHR(x, n) _mm256_srli_epi32(x, n)
#define ROTR(x, n) _mm256_or_si256(_mm256_srli_epi32(x, n), _mm256_slli_epi32(x, 32 - (n)))
#define XOR3(x, y, z) _mm256_xor_si256(_mm256_xor_si256(x, y), z)
#define CHOOSE(x, y, z) _mm256_xor_si256(z, _mm256_and_si256(x, _mm256_xor_si256(y, z)))
#define MAJORITY(x, y, z) \
    _mm256_or_si256(_mm256_and_si256(x, y), _mm256_and_si256(z, _mm256_or_si256(x, y)))
#define SET1(x) _mm256_set1_epi32((int)(x))
#define LOAD(p) _mm256_load_si256((const __m256i *)(p))
#define STORE(p, v) _mm256_store_si256((__m256i *)(p), v)

static inline void load_words(__m256i w[8], const uint8_t *in, size_t stride)
{
    const __m256i big_endian = _mm256_broadcastsi128_si256(_mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203));
    for (int group = 0; group < 2; group++) {
        __m256i rows[4]; /* streams i and i + 4, one 16-byte half each */
        for (size_t i = 0; i < 4; i++) {
            const __m128i *low = (const __m128i *)(in + i * stride) + group;
            const __m128i *high = (const __m128i *)(in + (i + 4) * stride) + group;
            __m256i row = _mm256_castsi128_si256(_mm_loadu_si128(low));
            row = _mm256_inserti128_si256(row, _mm_loadu_si128(high), 1);
            rows[i] = _mm256_shuffle_epi8(row, big_endian);
        }
        __m256i a = _mm256_unpacklo_epi32(rows[0], rows[1]), b = _mm256_unpackhi_epi32(rows[0], rows[1]);
        __m256i c = _mm256_unpacklo_epi32(rows[2], rows[3]), d = _mm256_unpackhi_epi32(rows[2], rows[3]);
        w[4 * group + 0] = _mm256_unpacklo_epi64(a, c);
        w[4 * group + 1] = _mm256_unpackhi_epi64(a, c);
        w[4 * group + 2] = _mm256_unpacklo_epi64(b, d);
        w[4 * group + 3] = _mm256_unpackhi_epi64(b, d);
    }
}

#include "sha256/wide.h"

void capseal_sha256_avx2_x8(const uint8_t *data, size_t n, size_t block_bytes, uint8_t *out)
{
    static const struct capseal_engine engine = {LANES, compress, rounds};
    capseal_digest_lanes(&engine, data, n, block_bytes, out);
}

CAPSEAL_TARGET_END

#else
typedef int capseal_avx2_is_for_x86_64; /* ISO C wants at least one declaration */
#endif
