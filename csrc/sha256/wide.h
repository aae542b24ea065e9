/*
 * wide.h - the vector kernels' body: one stream per 32-bit lane, FIPS 180-4 as it is written.
 *
 * The including file defines, for vectors of LANES lanes: VEC, ADD, XOR, SHR, ROTR, CHOOSE,
 * MAJORITY, XOR3, SET1, LOAD, STORE and load_words(w, in, stride), which reads eight words of each
 * stream, turns them into host order and transposes them.
 */
#ifndef CAPSEAL_WIDE_H
#define CAPSEAL_WIDE_H

#define BIG_SIGMA0(x) XOR3(ROTR(x, 2), ROTR(x, 13), ROTR(x, 22))
#define BIG_SIGMA1(x) XOR3(ROTR(x, 6), ROTR(x, 11), ROTR(x, 25))
#define SIGMA0(x) XOR3(ROTR(x, 7), ROTR(x, 18), SHR(x, 3))
#define SIGMA1(x) XOR3(ROTR(x, 17), ROTR(x, 19), SHR(x, 10))

/* One round without moving the state: the caller rotates the names instead. */
#define ROUND(a, b, c, d, e, f, g, h, wk)                                        \
    do {                                                                         \
        VEC t1 = ADD(ADD(h, wk), ADD(BIG_SIGMA1(e), CHOOSE(e, f, g)));            \
        d = ADD(d, t1);                                                          \
        h = ADD(t1, ADD(BIG_SIGMA0(a), MAJORITY(a, b, c)));                      \
    } while (0)

#define EIGHT_ROUNDS(WK, t)                    \
    do {                                       \
        ROUND(a, b, c, d, e, f, g, h, WK(t));   \
        ROUND(h, a, b, c, d, e, f, g, WK(t + 1)); \
        ROUND(g, h, a, b, c, d, e, f, WK(t + 2)); \
        ROUND(f, g, h, a, b, c, d, e, WK(t + 3)); \
        ROUND(e, f, g, h, a, b, c, d, WK(t + 4)); \
        ROUND(d, e, f, g, h, a, b, c, WK(t + 5)); \
        ROUND(c, d, e, f, g, h, a, b, WK(t + 6)); \
        ROUND(b, c, d, e, f, g, h, a, WK(t + 7)); \
    } while (0)

#define WK_OF_WORD(t) ADD(w[(t) % 16], SET1(capseal_sha256_k[t]))
#define WK_CONSTANT(t) SET1(wk[t])

#define NEXT_WORD(t) \
    w[(t) % 16] = ADD(ADD(w[(t) % 16], SIGMA0(w[((t) + 1) % 16])), \
                      ADD(w[((t) + 9) % 16], SIGMA1(w[((t) + 14) % 16])))

/* Written out, so that the words stay in registers at -O2, too. */
#define EIGHT_NEXT_WORDS(t)  \
    do {                     \
        NEXT_WORD(t);        \
        NEXT_WORD((t) + 1);  \
        NEXT_WORD((t) + 2);  \
        NEXT_WORD((t) + 3);  \
        NEXT_WORD((t) + 4);  \
        NEXT_WORD((t) + 5);  \
        NEXT_WORD((t) + 6);  \
        NEXT_WORD((t) + 7);  \
    } while (0)

static void load_state(uint32_t (*state)[8], VEC v[8])
{
    CAPSEAL_ALIGNED(64) uint32_t rows[8][LANES];
    for (int j = 0; j < 8; j++)
        for (int i = 0; i < LANES; i++)
            rows[j][i] = state[i][j];
    for (int j = 0; j < 8; j++)
        v[j] = LOAD(rows[j]);
}

static void store_state(uint32_t (*state)[8], const VEC v[8])
{
    CAPSEAL_ALIGNED(64) uint32_t rows[8][LANES];
    for (int j = 0; j < 8; j++)
        STORE(rows[j], v[j]);
    for (int j = 0; j < 8; j++)
        for (int i = 0; i < LANES; i++)
            state[i][j] = rows[j][i];
}

static void compress(uint32_t (*state)[8], const uint8_t *in, size_t stride, size_t chunks)
{
    VEC v[8], w[16];
    load_state(state, v);
    for (; chunks > 0; chunks--, in += CAPSEAL_CHUNK_BYTES) {
        VEC a = v[0], b = v[1], c = v[2], d = v[3], e = v[4], f = v[5], g = v[6], h = v[7];
        /* Eight words, eight rounds: words want other ports than rounds, and a long stretch of one kind alone
           leaves some idle. */
        load_words(w, in, stride);
        EIGHT_ROUNDS(WK_OF_WORD, 0);
        load_words(w + 8, in + CAPSEAL_CHUNK_BYTES / 2, stride);
        EIGHT_ROUNDS(WK_OF_WORD, 8);
        for (int t = 16; t < 64; t += 16) {
            EIGHT_NEXT_WORDS(t);
            EIGHT_ROUNDS(WK_OF_WORD, t);
            EIGHT_NEXT_WORDS(t + 8);
            EIGHT_ROUNDS(WK_OF_WORD, t + 8);
        }
        v[0] = ADD(v[0], a), v[1] = ADD(v[1], b), v[2] = ADD(v[2], c), v[3] = ADD(v[3], d);
        v[4] = ADD(v[4], e), v[5] = ADD(v[5], f), v[6] = ADD(v[6], g), v[7] = ADD(v[7], h);
    }
    store_state(state, v);
}

static void rounds(uint32_t (*state)[8], const uint32_t wk[64])
{
    VEC v[8];
    load_state(state, v);
    VEC a = v[0], b = v[1], c = v[2], d = v[3], e = v[4], f = v[5], g = v[6], h = v[7];
    for (int t = 0; t < 64; t += 8)
        EIGHT_ROUNDS(WK_CONSTANT, t);
    v[0] = ADD(v[0], a), v[1] = ADD(v[1], b), v[2] = ADD(v[2], c), v[3] = ADD(v[3], d);
    v[4] = ADD(v[4], e), v[5] = ADD(v[5], f), v[6] = ADD(v[6], g), v[7] = ADD(v[7], h);
    store_state(state, v);
}

#endif
