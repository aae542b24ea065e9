/*
 * Speed of every kernel in cycles per 64 bytes of data, for comparing compilers:
 *
 *   gcc -O2 -Icsrc $(find csrc -name "*.c" ! -name "_native.c") tests/native/speed.c -o speed && ./speed
 *
 * The clock comes from a chain of additions, one a cycle, best of many; kernels take turns.
 */
#define _DEFAULT_SOURCE
#include "sha256/capseal_hash.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define ROUNDS 400

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double clock_hz(void)
{
    double best_s = 1e9;
    for (int round = 0; round < 200; round++) {
        size_t x = 1;
        double start = now_s();
        for (int i = 0; i < 10000; i++)
            __asm__ volatile("add %0, %0\n\tadd %0, %0\n\tadd %0, %0\n\tadd %0, %0\n\tadd %0, %0\n\t"
                             "add %0, %0\n\tadd %0, %0\n\tadd %0, %0\n\tadd %0, %0\n\tadd %0, %0"
                             : "+r"(x));
        double s = now_s() - start;
        if (s < best_s)
            best_s = s;
    }
    return 100000 / best_s;
}

int main(void)
{
    static const size_t sizes[] = {256 << 10, CAPSEAL_SEGMENT_BYTES, 64 << 20};
    size_t most = sizes[2];
    uint8_t *data = malloc(most), *out = malloc(most / 4096 * 32);
    if (!data || !out)
        return 1;
    for (size_t i = 0; i < most; i++)
        data[i] = (uint8_t)(i * 2654435761u >> 13);
    double hz = clock_hz();
    printf("%.2f GHz\n", hz / 1e9);
    for (int s = 0; s < 3; s++) {
        double best_s[16];
        for (int k = 0; k < capseal_kernel_count(); k++)
            best_s[k] = 1e9;
        for (int round = 0; round < (s < 2 ? ROUNDS : ROUNDS / 20); round++)
            for (int k = 0; k < capseal_kernel_count(); k++) {
                if (!capseal_kernel_usable(k))
                    continue;
                double start = now_s();
                if (capseal_sha256_blocks(k, data, sizes[s] / 4096, 4096, out))
                    return 1;
                double taken_s = now_s() - start;
                if (taken_s < best_s[k])
                    best_s[k] = taken_s;
            }
        for (int k = 0; k < capseal_kernel_count(); k++)
            if (capseal_kernel_usable(k))
                printf("%6zu KiB %-7s %5.2f GB/s %7.1f cycles\n", sizes[s] >> 10, capseal_kernel_name(k),
                       (double)sizes[s] / best_s[k] / 1e9, best_s[k] * hz / ((double)sizes[s] / 64));
    }
    free(data), free(out);
    return 0;
}
