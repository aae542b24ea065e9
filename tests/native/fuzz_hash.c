/*
 * libFuzzer harness: any kernel against the scalar one over any shape.
 *
 *   clang -g -O1 -fsanitize=fuzzer,address,undefined -Icsrc $(find csrc -name "*.c" ! -name "_native.c") tests/native/fuzz_hash.c
 *
 * With -DONLY_BLOCKS, leaves and segments are left out: they are padded to whole blocks, and take fifty times as long.
 *
 * Input: kernel, block_bytes (two bytes, little-endian), offset, then the data.
 */
#include "sha256/capseal_hash.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
    if (size < 4)
        return 0;
    int kernel = input[0] % capseal_kernel_count(), scalar = capseal_kernel_count() - 1;
    size_t block_bytes = input[1] | (size_t)input[2] << 8, offset = input[3] % 64, data_bytes = size - 4;
    size_t n = block_bytes ? data_bytes / block_bytes : data_bytes % 64;
    size_t leaves = (data_bytes + CAPSEAL_BLOCK_BYTES - 1) / CAPSEAL_BLOCK_BYTES;
    size_t digests = n > leaves ? n : leaves;
    if (!capseal_kernel_usable(kernel))
        return 0;
    /* Exactly as large as may be touched, so that AddressSanitizer sees one byte too many. */
    uint8_t *data = malloc(offset + data_bytes + 1), *out = malloc(offset + digests * 32 + 1);
    uint8_t *expected = malloc(digests * 32 + 1);
    if (!data || !out || !expected)
        abort();
    memcpy(data + offset, input + 4, data_bytes);
    if (capseal_sha256_blocks(kernel, data + offset, n, block_bytes, out + offset) ||
        capseal_sha256_blocks(scalar, data + offset, n, block_bytes, expected) ||
        memcmp(out + offset, expected, n * 32))
        abort();
#ifndef ONLY_BLOCKS
    if (capseal_sha256_leaves(kernel, data + offset, data_bytes, out + offset) ||
        capseal_sha256_leaves(scalar, data + offset, data_bytes, expected) ||
        memcmp(out + offset, expected, leaves * 32))
        abort();
    if (data_bytes > 0 && (capseal_sha256_segments(kernel, data + offset, data_bytes, out + offset) ||
                           capseal_sha256_segments(scalar, data + offset, data_bytes, expected) ||
                           memcmp(out + offset, expected, 32)))
        abort();
#endif
    free(data), free(out), free(expected);
    return 0;
}
