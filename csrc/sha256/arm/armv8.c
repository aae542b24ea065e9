/*
 * ARMv8 kernels: the SHA2 extension with one stream and with four interleaved streams, which take
 * 8 registers for states, 16 for words and leave 8 of the 32.
 */
#include "sha256/kernels.h"

#ifdef CAPSEAL_ARM64

/* Before version 16, clang's arm_neon.h hides these intrinsics unless the command line allows them. */
#if defined(__clang__) && __clang_major__ < 16
#ifndef __ARM_FEATURE_CRYPTO
#define __ARM_FEATURE_CRYPTO 1
#endif
#ifndef __ARM_FEATURE_SHA2
#define __ARM_FEATURE_SHA2 1
#endif
#endif
#include <arm_neon.h>

#define LANES 4

#ifdef __clang__
CAPSEAL_TARGET_BEGIN("sha2")
#else
CAPSEAL_TARGET_BEGIN("+crypto")
#endif

struct stream {
    uint32x4_t abcd, efgh;
};

static inline void four_rounds(struct stream *s, uint32x4_t wk)
{
    uint32x4_t abcd = s->abcd;
    s->abcd = vsha256hq_u32(abcd, s->efgh, wk);
    s->efgh = vsha256h2q_u32(s->efgh, abcd, wk);
}

static inline __attribute__((always_inline)) void compress(uint32_t (*state)[8], const uint8_t *in, size_t stride,
                                                           size_t chunks, const size_t lanes)
{
    struct stream s[LANES], before[LANES];
    uint32x4_t w[LANES][4];
    for (size_t i = 0; i < lanes; i++)
        s[i] = (struct stream){vld1q_u32(state[i]), vld1q_u32(state[i] + 4)};
    for (; chunks > 0; chunks--, in += CAPSEAL_CHUNK_BYTES) {
        for (size_t i = 0; i < lanes; i++) {
            before[i] = s[i];
            for (size_t g = 0; g < 4; g++)
                w[i][g] = vreinterpretq_u32_u8(vrev32q_u8(vld1q_u8(in + i * stride + 16 * g)));
        }
        for (size_t g = 0; g < 16; g++) {
            uint32x4_t k = vld1q_u32(capseal_sha256_k + 4 * g);
            for (size_t i = 0; i < lanes; i++) {
                four_rounds(&s[i], vaddq_u32(w[i][g % 4], k));
                if (g < 12) {
                    uint32x4_t mixed = vsha256su0q_u32(w[i][g % 4], w[i][(g + 1) % 4]);
                    w[i][g % 4] = vsha256su1q_u32(mixed, w[i][(g + 2) % 4], w[i][(g + 3) % 4]);
                }
            }
        }
        for (size_t i = 0; i < lanes; i++) {
            s[i].abcd = vaddq_u32(s[i].abcd, before[i].abcd);
            s[i].efgh = vaddq_u32(s[i].efgh, before[i].efgh);
        }
    }
    for (size_t i = 0; i < lanes; i++) {
        vst1q_u32(state[i], s[i].abcd);
        vst1q_u32(state[i] + 4, s[i].efgh);
    }
}

static inline __attribute__((always_inline)) void rounds(uint32_t (*state)[8], const uint32_t wk[64],
                                                         const size_t lanes)
{
    struct stream s[LANES];
    for (size_t i = 0; i < lanes; i++)
        s[i] = (struct stream){vld1q_u32(state[i]), vld1q_u32(state[i] + 4)};
    for (size_t g = 0; g < 16; g++)
        for (size_t i = 0; i < lanes; i++)
            four_rounds(&s[i], vld1q_u32(wk + 4 * g));
    for (size_t i = 0; i < lanes; i++) {
        vst1q_u32(state[i], vaddq_u32(vld1q_u32(state[i]), s[i].abcd));
        vst1q_u32(state[i] + 4, vaddq_u32(vld1q_u32(state[i] + 4), s[i].efgh));
    }
}

/* With the number of lanes known, the compiler unrolls the loops over them and keeps all in registers. */
static void compress_x1(uint32_t (*state)[8], const uint8_t *in, size_t stride, size_t chunks)
{
    compress(state, in, stride, chunks, 1);
}

static void compress_x4(uint32_t (*state)[8], const uint8_t *in, size_t stride, size_t chunks)
{
    compress(state, in, stride, chunks, LANES);
}

static void rounds_x1(uint32_t (*state)[8], const uint32_t wk[64]) { rounds(state, wk, 1); }

static void rounds_x4(uint32_t (*state)[8], const uint32_t wk[64]) { rounds(state, wk, LANES); }

void capseal_sha256_armv8_x1(const uint8_t *data, size_t n, size_t block_bytes, uint8_t *out)
{
    static const struct capseal_engine engine = {1, compress_x1, rounds_x1};
    capseal_digest_lanes(&engine, data, n, block_bytes, out);
}

void capseal_sha256_armv8_x4(const uint8_t *data, size_t n, size_t block_bytes, uint8_t *out)
{
    static const struct capseal_engine engine = {LANES, compress_x4, rounds_x4};
    capseal_digest_lanes(&engine, data, n, block_bytes, out);
}

CAPSEAL_TARGET_END

#else
typedef int capseal_armv8_is_for_arm64; /* ISO C wants at least one declaration */
#endif
