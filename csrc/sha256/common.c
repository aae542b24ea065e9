/* What every kernel needs around the compression function: constants, padding, the loop over lanes. */
#include "sha256/kernels.h"

#include <string.h>

CAPSEAL_ALIGNED(64) const uint32_t capseal_sha256_k[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

CAPSEAL_ALIGNED(64) const uint32_t capseal_sha256_iv[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                                           0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

static uint32_t rotr(uint32_t x, int n) { return x >> n | x << (32 - n); }

static void store_be32(uint8_t *p, uint32_t x)
{
    p[0] = (uint8_t)(x >> 24);
    p[1] = (uint8_t)(x >> 16);
    p[2] = (uint8_t)(x >> 8);
    p[3] = (uint8_t)x;
}

void capseal_store_digest(const uint32_t state[8], uint8_t *out)
{
    for (int i = 0; i < 8; i++)
        store_be32(out + 4 * i, state[i]);
}

void capseal_padding_schedule(size_t block_bytes, uint32_t wk[64])
{
    uint32_t w[64] = {0x80000000};
    w[14] = (uint32_t)((uint64_t)block_bytes >> 29);
    w[15] = (uint32_t)(block_bytes << 3);
    for (int t = 16; t < 64; t++) {
        uint32_t s0 = rotr(w[t - 15], 7) ^ rotr(w[t - 15], 18) ^ w[t - 15] >> 3;
        uint32_t s1 = rotr(w[t - 2], 17) ^ rotr(w[t - 2], 19) ^ w[t - 2] >> 10;
        w[t] = w[t - 16] + s0 + w[t - 7] + s1;
    }
    for (int t = 0; t < 64; t++)
        wk[t] = w[t] + capseal_sha256_k[t];
}

size_t capseal_tail_chunks(const uint8_t *block, size_t block_bytes, uint8_t tail[128])
{
    size_t rest = block_bytes % CAPSEAL_CHUNK_BYTES;
    size_t chunks = rest < 56 ? 1 : 2; /* the length takes the last 8 bytes, the end mark one */
    memset(tail, 0, 128);
    if (rest)
        memcpy(tail, block + block_bytes - rest, rest);
    tail[rest] = 0x80;
    store_be32(tail + chunks * CAPSEAL_CHUNK_BYTES - 8, (uint32_t)((uint64_t)block_bytes >> 29));
    store_be32(tail + chunks * CAPSEAL_CHUNK_BYTES - 4, (uint32_t)(block_bytes << 3));
    return chunks;
}

void capseal_digest_lanes(const struct capseal_engine *engine, const uint8_t *data, size_t n, size_t block_bytes,
                          uint8_t *out)
{
    CAPSEAL_ALIGNED(64) uint32_t state[CAPSEAL_MAX_LANES][8];
    uint8_t tails[CAPSEAL_MAX_LANES][128];
    uint32_t wk[64];
    size_t lanes = engine->lanes, whole = block_bytes / CAPSEAL_CHUNK_BYTES;
    if (capseal_padding_is_constant(block_bytes))
        capseal_padding_schedule(block_bytes, wk);
    for (size_t done = 0; done < n; done += lanes) {
        const uint8_t *first = data + done * block_bytes;
        for (size_t i = 0; i < lanes; i++)
            memcpy(state[i], capseal_sha256_iv, sizeof state[i]);
        engine->compress(state, first, block_bytes, whole);
        if (capseal_padding_is_constant(block_bytes)) {
            engine->rounds(state, wk);
        } else {
            size_t chunks = 0;
            for (size_t i = 0; i < lanes; i++)
                chunks = capseal_tail_chunks(first + i * block_bytes, block_bytes, tails[i]);
            engine->compress(state, tails[0], sizeof tails[0], chunks);
        }
        for (size_t i = 0; i < lanes; i++)
            capseal_store_digest(state[i], out + (done + i) * CAPSEAL_DIGEST_BYTES);
    }
}
