/*
 * Tests of the C library without Python, hashing and the headers of zips: for sanitizers, for other compilers and for emulators.
 *
 * Sanitizers do not see into inline assembly, so every buffer here lies between two pages that
 * nobody may touch, once against the one in front and once against the one behind.
 */
#define _DEFAULT_SOURCE
#include "file/capseal_zipheaders.h"
#include "sha256/capseal_hash.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MOST_BYTES ((size_t)9 * CAPSEAL_SEGMENT_BYTES)

#define CHECK(condition, ...)                                      \
    do {                                                           \
        if (!(condition)) {                                        \
            fprintf(stderr, "%s:%d: %s: ", __FILE__, __LINE__, #condition); \
            fprintf(stderr, __VA_ARGS__);                          \
            fputc('\n', stderr);                                   \
            exit(1);                                               \
        }                                                          \
    } while (0)

/* bytes usable bytes between two forbidden pages; at_end: the last one is the last of its page. */
struct guarded {
    uint8_t *map, *bytes;
    size_t map_bytes;
};

static struct guarded guarded(size_t bytes, int at_end)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), inner = (bytes + page - 1) / page * page;
    struct guarded g = {NULL, NULL, inner + 2 * page};
    g.map = mmap(NULL, g.map_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(g.map != MAP_FAILED, "%s", strerror(errno));
    CHECK(inner == 0 || mprotect(g.map + page, inner, PROT_READ | PROT_WRITE) == 0, "%s", strerror(errno));
    g.bytes = g.map + page + (at_end ? inner - bytes : 0);
    return g;
}

static void release(struct guarded g) { munmap(g.map, g.map_bytes); }

static uint8_t *pool; /* MOST_BYTES bytes without a pattern */

static void fill_pool(void)
{
    uint64_t x = 20261123;
    pool = malloc(MOST_BYTES);
    CHECK(pool != NULL, "out of memory");
    for (size_t i = 0; i < MOST_BYTES; i++) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        pool[i] = (uint8_t)(x >> 56);
    }
}

static int scalar(void) { return capseal_kernel_count() - 1; }

static void test_known_answers(int kernel)
{
    /* FIPS 180-2, appendix B.1, and the empty message. */
    static const uint8_t abc[32] = {0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea, 0x41, 0x41, 0x40,
                                    0xde, 0x5d, 0xae, 0x22, 0x23, 0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17,
                                    0x7a, 0x9c, 0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad};
    static const uint8_t empty[32] = {0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4,
                                      0xc8, 0x99, 0x6f, 0xb9, 0x24, 0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b,
                                      0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55};
    enum { N = 21 };
    uint8_t data[3 * N + 1], out[32 * N];
    for (size_t i = 0; i < N; i++)
        memcpy(data + 3 * i, "abc", 3);
    CHECK(capseal_sha256_blocks(kernel, data, N, 3, out) == 0, "abc");
    for (size_t i = 0; i < N; i++)
        CHECK(memcmp(out + 32 * i, abc, 32) == 0, "%s, abc, block %zu", capseal_kernel_name(kernel), i);
    CHECK(capseal_sha256_blocks(kernel, NULL, N, 0, out) == 0, "empty");
    for (size_t i = 0; i < N; i++)
        CHECK(memcmp(out + 32 * i, empty, 32) == 0, "%s, empty, block %zu", capseal_kernel_name(kernel), i);
}

static void compare_blocks(int kernel, size_t n, size_t block_bytes, size_t offset, int at_end)
{
    struct guarded data = guarded(n * block_bytes, at_end), out = guarded(n * 32, at_end);
    uint8_t *expected = malloc(n * 32 + 1);
    CHECK(expected != NULL, "out of memory");
    memcpy(data.bytes, pool + offset, n * block_bytes);
    CHECK(capseal_sha256_blocks(scalar(), data.bytes, n, block_bytes, expected) == 0, "scalar");
    CHECK(capseal_sha256_blocks(kernel, data.bytes, n, block_bytes, out.bytes) == 0, "kernel");
    CHECK(memcmp(expected, out.bytes, n * 32) == 0, "%s, %zu blocks of %zu bytes", capseal_kernel_name(kernel), n,
          block_bytes);
    free(expected);
    release(data);
    release(out);
}

static void test_blocks(int kernel)
{
    static const size_t sizes[] = {0, 1, 31, 55, 56, 63, 64, 65, 119, 120, 127, 128, 129, 192, 1000, 4095, 4096, 4097};
    static const size_t counts[] = {0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 19, 20, 21, 31, 32, 33, 37};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        for (size_t j = 0; j < sizeof counts / sizeof counts[0]; j++)
            for (int at_end = 0; at_end < 2; at_end++)
                compare_blocks(kernel, counts[j], sizes[i], 17 * i + j, at_end);
}

static void test_segments(int kernel)
{
    static const size_t sizes[] = {0,
                                   1,
                                   4095,
                                   4096,
                                   4097,
                                   CAPSEAL_SEGMENT_BYTES - 1,
                                   CAPSEAL_SEGMENT_BYTES,
                                   CAPSEAL_SEGMENT_BYTES + 1,
                                   3 * CAPSEAL_SEGMENT_BYTES + 5000,
                                   MOST_BYTES - 4096 * 3 - 1};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        size_t bytes = sizes[i], segments = (bytes + CAPSEAL_SEGMENT_BYTES - 1) / CAPSEAL_SEGMENT_BYTES;
        size_t leaves = (bytes + 4095) / 4096;
        uint8_t *padded = calloc(segments + 1, CAPSEAL_SEGMENT_BYTES), *level = calloc(segments + 1, 4096);
        CHECK(padded != NULL && level != NULL, "out of memory");
        memcpy(padded, pool, bytes);
        CHECK(capseal_sha256_blocks(scalar(), padded, leaves, 4096, level) == 0, "leaves");
        for (int at_end = 0; at_end < 2; at_end++) {
            struct guarded data = guarded(bytes, at_end), out = guarded(leaves * 32, at_end);
            struct guarded index = guarded(segments * 32, at_end);
            uint8_t expected[32 * 10];
            memcpy(data.bytes, pool, bytes);
            CHECK(capseal_sha256_leaves(kernel, data.bytes, bytes, out.bytes) == 0, "leaves");
            CHECK(memcmp(out.bytes, level, leaves * 32) == 0, "%s, leaves of %zu bytes", capseal_kernel_name(kernel),
                  bytes);
            CHECK(capseal_sha256_blocks(scalar(), level, segments, 4096, expected) == 0, "hash blocks");
            CHECK(capseal_sha256_segments(kernel, data.bytes, bytes, index.bytes) == 0, "segments");
            CHECK(memcmp(index.bytes, expected, segments * 32) == 0, "%s, segments of %zu bytes",
                  capseal_kernel_name(kernel), bytes);
            release(data), release(out), release(index);
        }
        free(padded), free(level);
    }
}

static void test_refusals(void)
{
    uint8_t data[64] = {0}, out[32] = {0};
    int usable = scalar();
    CHECK(capseal_sha256_blocks(-1, data, 1, 64, out) == -EINVAL, "kernel -1");
    CHECK(capseal_sha256_blocks(usable + 1, data, 1, 64, out) == -EINVAL, "kernel out of range");
    CHECK(capseal_sha256_blocks(usable, NULL, 1, 64, out) == -EINVAL, "no data");
    CHECK(capseal_sha256_blocks(usable, data, 1, 64, NULL) == -EINVAL, "no out");
    CHECK(capseal_sha256_blocks(usable, data, SIZE_MAX / 32, 64, out) == -EINVAL, "product too large");
    CHECK(capseal_sha256_leaves(usable, NULL, 1, out) == -EINVAL, "no data");
    CHECK(capseal_sha256_segments(usable, NULL, 1, out) == -EINVAL, "no data");
    CHECK(capseal_kernel_name(-1) == NULL && capseal_kernel_name(usable + 1) == NULL, "names out of range");
    CHECK(!capseal_kernel_usable(-1) && !capseal_kernel_usable(usable + 1), "usable out of range");
    for (int k = 0; k < capseal_kernel_count(); k++)
        if (!capseal_kernel_usable(k))
            CHECK(capseal_sha256_blocks(k, data, 1, 64, out) == -ENOTSUP, "%s", capseal_kernel_name(k));
    for (size_t i = 0; i < sizeof out; i++)
        CHECK(out[i] == 0, "a refused call wrote byte %zu", i);
}

/* With "overrun" as argument it reads one byte too many, so that a caller can see the guards work. */
/* Headers go exactly where they belong, into buffers of which every byte is theirs. */
static void test_zip_headers(void)
{
    static const char names[] = "a.js\0b/\0b/c.bin";
    static const int64_t name_at[] = {0, 5, 8, 16}, methods[] = {8, 0, 0}, packed[] = {3, 0, 0xfffffffe};
    static const int64_t sizes[] = {9, 0, 0xfffffffe}, starts[] = {0, 37, 69}, crcs[] = {0x04030201, 0, 0xffffffff};
    static const uint8_t fields[] = {8, 0, 'd', 'd', 'd', 'd', 1, 2, 3, 4, 3, 0, 0, 0, 9, 0, 0, 0, 4, 0};
    const capseal_zip_entries entries = {names, name_at, methods, packed, sizes, starts};
    char local[CAPSEAL_ZIP_LOCAL_BYTES], file[CAPSEAL_ZIP_CENTRAL_BYTES], folder[CAPSEAL_ZIP_CENTRAL_BYTES];
    memset(local, 'd', sizeof local), memset(file, 'd', sizeof file), memset(folder, 'F', sizeof folder);
    size_t central = 3 * CAPSEAL_ZIP_CENTRAL_BYTES + 4 + 2 + 7, last_at = central - CAPSEAL_ZIP_CENTRAL_BYTES - 7;
    for (int at_end = 0; at_end < 2; at_end++) {
        struct guarded first = guarded(34, at_end), last = guarded(37, at_end), all = guarded(central, at_end);
        capseal_put_local_headers(&entries, 0, 1, crcs, local, 0, first.bytes);
        CHECK(memcmp(first.bytes + 8, fields, sizeof fields) == 0, "the local header's fields");
        CHECK(memcmp(first.bytes + CAPSEAL_ZIP_LOCAL_BYTES, "a.js", 4) == 0, "the first name");
        capseal_put_local_headers(&entries, 2, 3, crcs + 2, local, 69, last.bytes);
        CHECK(memcmp(last.bytes + CAPSEAL_ZIP_LOCAL_BYTES, "b/c.bin", 7) == 0, "the last name");
        capseal_put_directory(&entries, 3, crcs, file, folder, all.bytes);
        CHECK(memcmp(all.bytes + 10, fields, sizeof fields) == 0, "the directory's fields");
        CHECK(all.bytes[0] == 'd' && all.bytes[50] == 'F' && all.bytes[98] == 'd', "which is a folder");
        CHECK(all.bytes[last_at + 42] == 69 && all.bytes[last_at + 20] == 0xfe, "the last entry's place and size");
        release(first), release(last), release(all);
    }
}

/* Of a zip only headers are read, however it ends; and nothing is written that does not fit. */
static void test_zip_directory(void)
{
    static const char names[] = "a.js\0b/\0b/c.bin";
    static const int64_t name_at[] = {0, 5, 8, 16}, methods[] = {8, 0, 0}, packed[] = {3, 0, 5}, sizes[] = {9, 0, 5};
    static const int64_t starts[] = {0, 37, 69}, crcs[] = {0x04030201, 0, 0xffffffff};
    const capseal_zip_entries entries = {names, name_at, methods, packed, sizes, starts};
    const size_t ends[] = {0, 34, 69, 106}, zip_bytes = 111, central = 3 * CAPSEAL_ZIP_CENTRAL_BYTES + 4 + 2 + 7;
    char local[CAPSEAL_ZIP_LOCAL_BYTES], file[CAPSEAL_ZIP_CENTRAL_BYTES], folder[CAPSEAL_ZIP_CENTRAL_BYTES];
    uint8_t zip[111], expected[3 * CAPSEAL_ZIP_CENTRAL_BYTES + 13];
    memset(zip, 'x', sizeof zip), memset(local, 0, sizeof local), memset(file, 0, sizeof file);
    memcpy(local, "PK\3\4ab", 6), memcpy(file, "PK\1\2", 4), memcpy(folder, file, sizeof file);
    capseal_put_local_headers(&entries, 0, 3, crcs, local, 0, zip);
    capseal_put_directory(&entries, 3, crcs, file, folder, expected);
    for (size_t size = 0; size <= zip_bytes; size++) {
        struct guarded piece = guarded(size, 1);
        memcpy(piece.bytes, zip, size);
        for (size_t room = 0; room <= central; room++) {
            struct guarded out = guarded(room, 1);
            size_t at = 0, count = 0;
            size_t written = capseal_put_directory_of(piece.bytes, size, 0, local, file, folder, &at, &count,
                                                      out.bytes, room);
            CHECK(written <= room && memcmp(out.bytes, expected, written) == 0, "%zu bytes, room %zu", size, room);
            size_t there = (size_t)(size >= ends[1]) + (size >= ends[2]) + (size >= ends[3]);
            CHECK(count <= there && (room < central || count == there), "%zu entries of %zu bytes", count, size);
            release(out);
        }
        release(piece);
    }
    for (size_t i = 0; i < CAPSEAL_ZIP_LOCAL_BYTES; i++) {
        int is_open = (i >= 8 && i < 10) || (i >= 14 && i < 27); /* at 27 it says that the name has 260 bytes */
        size_t at = 0, count = 0;
        zip[i] ^= 1;
        size_t written = capseal_put_directory_of(zip, 69, 0, local, file, folder, &at, &count, expected, central);
        CHECK(is_open ? count > 0 : written == 0 && at == 0 && count == 0, "byte %zu is not as it should be", i);
        zip[i] ^= 1;
    }
    memset(zip + 18, 0xff, 4);
    size_t at = 0, count = 0;
    capseal_put_directory_of(zip, sizeof zip, 0, local, file, folder, &at, &count, expected, central);
    CHECK(count == 0 && at == 0, "a size of zip64");
    at = sizeof zip + 7;
    capseal_put_directory_of(zip, sizeof zip, 0, local, file, folder, &at, &count, expected, central);
    CHECK(count == 0 && at == sizeof zip + 7, "a place behind the piece");
}

int main(int argc, char **argv)
{
    fill_pool();
    if (argc > 1 && strcmp(argv[1], "overrun") == 0) {
        struct guarded data = guarded(4096, 1);
        uint8_t out[32];
        return capseal_sha256_blocks(0, data.bytes + 1, 1, 4096, out);
    }
    test_refusals();
    test_zip_headers();
    test_zip_directory();
    for (int k = 0; k < capseal_kernel_count(); k++) {
        if (!capseal_kernel_usable(k)) {
            printf("%s: not usable here\n", capseal_kernel_name(k));
            continue;
        }
        test_known_answers(k);
        test_blocks(k);
        test_segments(k);
        printf("%s: ok\n", capseal_kernel_name(k));
    }
    free(pool);
    return 0;
}
