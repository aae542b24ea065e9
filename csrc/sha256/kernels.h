/*
 * kernels.h - what the kernels share: one signature, the constants of FIPS 180-4 and the padding.
 *
 * Words used here: a block is the caller's unit and becomes one SHA-256 message; a chunk is the 64
 * bytes that one compression takes; a stream is one message among those in flight; a lane is a
 * stream's place in a vector register. W is the message schedule, WK = W + K what the rounds add.
 */
#ifndef CAPSEAL_KERNELS_H
#define CAPSEAL_KERNELS_H

#include "sha256/capseal_hash.h"

#define CAPSEAL_CHUNK_BYTES 64
#define CAPSEAL_MAX_LANES 16

#if defined(__GNUC__) && defined(__x86_64__) && !defined(__ILP32__)
#define CAPSEAL_X86_64 1
#elif defined(__GNUC__) && defined(__aarch64__) && defined(__ARM_NEON) && !defined(__AARCH64EB__)
#define CAPSEAL_ARM64 1
#endif

/*
 * Compiles the functions in between for the named instruction set, whatever the command line says:
 * setuptools has one set of flags for all files. System headers are included before it.
 */
#define CAPSEAL_PRAGMA(text) _Pragma(#text)
#ifdef __clang__
#define CAPSEAL_TARGET_BEGIN(isa) \
    CAPSEAL_PRAGMA(clang attribute push(__attribute__((target(isa))), apply_to = function))
#define CAPSEAL_TARGET_END CAPSEAL_PRAGMA(clang attribute pop)
#else
#define CAPSEAL_TARGET_BEGIN(isa) CAPSEAL_PRAGMA(GCC push_options) CAPSEAL_PRAGMA(GCC target(isa))
#define CAPSEAL_TARGET_END CAPSEAL_PRAGMA(GCC pop_options)
#endif

#ifdef __GNUC__
#define CAPSEAL_HIDDEN __attribute__((visibility("hidden")))
#define CAPSEAL_ALIGNED(bytes) __attribute__((aligned(bytes)))
#else
#define CAPSEAL_HIDDEN
#define CAPSEAL_ALIGNED(bytes)
#endif

/*
 * The one signature of every kernel: digests n blocks of block_bytes bytes from data into out.
 * n is a multiple of the kernel's lanes. Limits as in capseal_hash.h.
 */
typedef void capseal_kernel_fn(const uint8_t *data, size_t n, size_t block_bytes, uint8_t *out);

CAPSEAL_HIDDEN capseal_kernel_fn capseal_sha256_scalar;     /* 1 lane, the truth */
CAPSEAL_HIDDEN capseal_kernel_fn capseal_sha256_shani_x1;   /* 1 lane */
CAPSEAL_HIDDEN capseal_kernel_fn capseal_sha256_shani_x4;   /* 4 lanes */
CAPSEAL_HIDDEN capseal_kernel_fn capseal_sha256_hybrid_x16; /* 16 lanes */
CAPSEAL_HIDDEN capseal_kernel_fn capseal_sha256_avx2_x8;    /* 8 lanes */
CAPSEAL_HIDDEN capseal_kernel_fn capseal_sha256_avx512_x16; /* 16 lanes */
CAPSEAL_HIDDEN capseal_kernel_fn capseal_sha256_armv8_x1;   /* 1 lane */
CAPSEAL_HIDDEN capseal_kernel_fn capseal_sha256_armv8_x4;   /* 4 lanes */

/* FIPS 180-4, sections 4.2.2 and 5.3.3. */
CAPSEAL_HIDDEN extern const uint32_t capseal_sha256_k[64];
CAPSEAL_HIDDEN extern const uint32_t capseal_sha256_iv[8];

/*
 * What a kernel without its own loop over messages provides to capseal_digest_lanes().
 *
 * compress: runs chunks chunks of each stream, of which stream i starts at in + i * stride.
 * rounds: runs one chunk whose WK is the same in every stream.
 * A state is a to h of FIPS 180-4, in 16-byte aligned memory.
 */
struct capseal_engine {
    size_t lanes;
    void (*compress)(uint32_t (*state)[8], const uint8_t *in, size_t stride, size_t chunks);
    void (*rounds)(uint32_t (*state)[8], const uint32_t wk[64]);
};

CAPSEAL_HIDDEN void capseal_digest_lanes(const struct capseal_engine *engine, const uint8_t *data, size_t n,
                                         size_t block_bytes, uint8_t *out);

/* 1 where the padding of such a block fills a chunk of its own, the same for all blocks of that size. */
static inline int capseal_padding_is_constant(size_t block_bytes)
{
    return block_bytes % CAPSEAL_CHUNK_BYTES == 0;
}

/* The WK of that chunk: the schedule of a fixed message is worked out once, not per block. */
CAPSEAL_HIDDEN void capseal_padding_schedule(size_t block_bytes, uint32_t wk[64]);

/* Writes the chunks which hold the end of a block and its padding into tail; gives their number, 1 or 2. */
CAPSEAL_HIDDEN size_t capseal_tail_chunks(const uint8_t *block, size_t block_bytes, uint8_t tail[128]);

CAPSEAL_HIDDEN void capseal_store_digest(const uint32_t state[8], uint8_t *out);

#endif
