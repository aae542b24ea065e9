/*
 * capseal_hash.h - SHA-256 of many independent blocks at once.
 *
 * Invariant: this library sees public bytes only (ciphertext and digests), never a key and never
 * plaintext, so nothing that its timing shows is a secret.
 *
 * Every function is reentrant, keeps no state between calls, allocates nothing and uses less than
 * 64 KiB of stack. The caller owns all memory. Pointers need no alignment; data and out must not
 * overlap. Sizes are in bytes unless they count blocks, and n * block_bytes must fit in size_t;
 * block_bytes is below 2^61, since SHA-256 counts bits in 64. Nothing outside of the stated ranges
 * is read or written. Functions that return int give 0, or a negative errno and write nothing:
 * -EINVAL for an argument that breaks these rules, -ENOTSUP for a kernel this processor cannot run.
 */
#ifndef CAPSEAL_HASH_H
#define CAPSEAL_HASH_H

#include <stddef.h>
#include <stdint.h>

#define CAPSEAL_DIGEST_BYTES 32
#define CAPSEAL_BLOCK_BYTES 4096    /* what one leaf digests, and the size of a hash block */
#define CAPSEAL_SEGMENT_BYTES 524288 /* 128 blocks, whose leaves fill one hash block */

/*
 * Kernels are numbered 0 to capseal_kernel_count() - 1, the fastest first. The order rests on
 * measurements (docs/hashing.md) and not on vector width.
 */
int capseal_kernel_count(void);

/* The kernel's name in lower case, or NULL for a number that is out of range. */
const char *capseal_kernel_name(int kernel);

/* 1 where this processor and its operating system can run the kernel, else 0. */
int capseal_kernel_usable(int kernel);

/* The processor features that decide, CAPSEAL_CPU_* or-ed; asked for once and then remembered. */
#define CAPSEAL_CPU_SHA 1u     /* x86 SHA extensions, with SSSE3 and SSE4.1 */
#define CAPSEAL_CPU_AVX2 2u    /* and the operating system saves ymm registers */
#define CAPSEAL_CPU_AVX512 4u  /* F, BW and VL, and the operating system saves zmm registers */
#define CAPSEAL_CPU_ARM_SHA2 8u
#define CAPSEAL_CPU_MIXES 16u /* AMD's: SSE instructions among AVX ones cost nothing (docs/hashing.md, The choice) */
unsigned capseal_cpu_features(void);

/*
 * Digests n blocks of block_bytes bytes each, which lie one after the other in data, into out.
 *
 * data: n * block_bytes readable bytes; out: n * 32 writable bytes.
 */
int capseal_sha256_blocks(int kernel, const uint8_t *data, size_t n, size_t block_bytes, uint8_t *out);

/*
 * Digests each 4096-byte block of data, the last one padded with zeros where it is short.
 *
 * data: data_bytes readable bytes; out: 32 writable bytes for each started block.
 */
int capseal_sha256_leaves(int kernel, const uint8_t *data, size_t data_bytes, uint8_t *out);

/*
 * Gives the index entry of each segment of data: the digest of the 4096-byte hash block which holds
 * the segment's leaves and is padded with zeros where the segment is short.
 *
 * data: data_bytes readable bytes that start where a segment starts; out: 32 writable bytes for
 * each started segment.
 */
int capseal_sha256_segments(int kernel, const uint8_t *data, size_t data_bytes, uint8_t *out);

#endif
