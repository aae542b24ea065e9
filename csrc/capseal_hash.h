/*
 * capseal_hash.h - SHA-256 of many independent blocks at once.
 *
 * Invariant: this library sees public bytes only (ciphertext and digests), never a key and never
 * plaintext, so nothing that its timing shows is a secret.
 */
#ifndef CAPSEAL_HASH_H
#define CAPSEAL_HASH_H

#include <stddef.h>
#include <stdint.h>

#define CAPSEAL_DIGEST_BYTES 32

/*
 * Digests n blocks of block_bytes bytes each, which lie one after the other in data, into out.
 *
 * data: n * block_bytes readable bytes, any alignment; out: n * 32 writable bytes, any alignment;
 * the two must not overlap. Returns 0.
 */
int capseal_sha256_blocks(const uint8_t *data, size_t n, size_t block_bytes, uint8_t *out);

#endif
