/* The portable kernel: FIPS 180-4, section 6.2, as it is written there. */
#include "sha256/kernels.h"

static uint32_t rotr(uint32_t x, int n) { return x >> n | x << (32 - n); }

static uint32_t load_be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void rounds(uint32_t (*state)[8], const uint32_t wk[64])
{
    uint32_t *s = *state;
    uint32_t a = s[0], b = s[1], c = s[2], d = s[3], e = s[4], f = s[5], g = s[6], h = s[7];
    for (int t = 0; t < 64; t++) {
        uint32_t t1 = h + (rotr(e, 6) ^ rotr(e, 11) ^ rotr(e, 25)) + ((e & f) ^ (~e & g)) + wk[t];
        uint32_t t2 = (rotr(a, 2) ^ rotr(a, 13) ^ rotr(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
        h = g, g = f, f = e, e = d + t1, d = c, c = b, b = a, a = t1 + t2;
    }
    s[0] += a, s[1] += b, s[2] += c, s[3] += d;
    s[4] += e, s[5] += f, s[6] += g, s[7] += h;
}

static void compress(uint32_t (*state)[8], const uint8_t *in, size_t stride, size_t chunks)
{
    (void)stride; /* one lane */
    for (; chunks > 0; chunks--, in += CAPSEAL_CHUNK_BYTES) {
        uint32_t w[64], wk[64];
        for (int t = 0; t < 16; t++)
            w[t] = load_be32(in + 4 * t);
        for (int t = 16; t < 64; t++) {
            uint32_t s0 = rotr(w[t - 15], 7) ^ rotr(w[t - 15], 18) ^ w[t - 15] >> 3;
            uint32_t s1 = rotr(w[t - 2], 17) ^ rotr(w[t - 2], 19) ^ w[t - 2] >> 10;
            w[t] = w[t - 16] + s0 + w[t - 7] + s1;
        }
        for (int t = 0; t < 64; t++)
            wk[t] = w[t] + capseal_sha256_k[t];
        rounds(state, wk);
    }
}

void capseal_sha256_scalar(const uint8_t *data, size_t n, size_t block_bytes, uint8_t *out)
{
    static const struct capseal_engine engine = {1, compress, rounds};
    capseal_digest_lanes(&engine, data, n, block_bytes, out);
}
