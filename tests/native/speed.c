/*
 * Speed of every kernel in cycles per 64 bytes of data, for comparing compilers:
 *
 *   gcc -O2 -Icsrc $(find csrc/sha256 -name "*.c") tests/native/speed.c -o speed && ./speed
 *
 * The clock comes from a chain of additions, one a cycle, before and after each run: a processor changes it as it
 * likes, and for wide instructions above all. A run between two chains that disagree does not count, so that cycles
 * come out the same to 0.3 % on a busy machine, too; bytes per second are those of the best run.
 */
#define _DEFAULT_SOURCE
#include "sha256/capseal_hash.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define ROUNDS 2000
#define MOST_S 2.0 /* for one kernel and size: hybrid is very slow where it is not chosen */
#define CHAIN 30000
#define DISAGREEMENT 1.005

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* The length of a cycle just now. */
static double cycle_s(void)
{
    size_t x = 1;
    double start = now_s();
    for (int i = 0; i < CHAIN / 10; i++)
        __asm__ volatile("add %0, %0\n\tadd %0, %0\n\tadd %0, %0\n\tadd %0, %0\n\tadd %0, %0\n\t"
                         "add %0, %0\n\tadd %0, %0\n\tadd %0, %0\n\tadd %0, %0\n\tadd %0, %0"
                         : "+r"(x));
    return (now_s() - start) / CHAIN;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(void)
{
    static const size_t sizes[] = {256 << 10, CAPSEAL_SEGMENT_BYTES};
    static double cycles[ROUNDS];
    uint8_t *data = malloc(CAPSEAL_SEGMENT_BYTES), *out = malloc(CAPSEAL_SEGMENT_BYTES / 4096 * 32);
    if (!data || !out)
        return 1;
    for (size_t i = 0; i < CAPSEAL_SEGMENT_BYTES; i++)
        data[i] = (uint8_t)(i * 2654435761u >> 13);
    for (int s = 0; s < 2; s++)
        for (int k = 0; k < capseal_kernel_count(); k++) {
            if (!capseal_kernel_usable(k))
                continue;
            double best_s = 1e9, end = now_s() + MOST_S;
            int counted = 0;
            for (int round = 0; round < ROUNDS && now_s() < end; round++) {
                double before = cycle_s(), start = now_s();
                if (capseal_sha256_blocks(k, data, sizes[s] / 4096, 4096, out))
                    return 1;
                double taken_s = now_s() - start, after = cycle_s();
                if (taken_s < best_s)
                    best_s = taken_s;
                if (before < after * DISAGREEMENT && after < before * DISAGREEMENT)
                    cycles[counted++] = taken_s / ((before + after) / 2) / ((double)sizes[s] / 64);
            }
            qsort(cycles, (size_t)counted, sizeof cycles[0], ascending);
            printf("%6zu KiB %-7s %5.2f GB/s", sizes[s] >> 10, capseal_kernel_name(k),
                   (double)sizes[s] / best_s / 1e9);
            if (counted > 0)
                printf(" %7.1f cycles (median %.1f of %d)", cycles[counted / 20], cycles[counted / 2], counted);
            printf("\n");
        }
    free(data), free(out);
    return 0;
}
