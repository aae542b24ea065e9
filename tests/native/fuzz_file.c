/*
 * libFuzzer harness: what csrc/file does with a file and any range of it, against the digests of a copy.
 *
 *   clang -g -O2 -fsanitize=fuzzer,address,undefined -Icsrc $(find csrc -name "*.c" ! -name "_native.c") tests/native/fuzz_file.c
 *
 * Input: what to do, the file's size and a range (numbers of two bytes each, little-endian, times a unit), then
 * what the file begins with. The files live in memory (tmpfs), where all of csrc/file works.
 */
#define _GNU_SOURCE
#include "file/capseal_filereader.h"
#include "file/capseal_listing.h"
#include "file/capseal_mapped.h"
#include "file/capseal_pagecache.h"
#include "sha256/capseal_hash.h"

#include <fcntl.h>

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

#define MOST_BYTES ((size_t)20 * 1024)

static int fd = -1;

static void demand(int condition)
{
    if (!condition)
        abort();
}

static int64_t number(const uint8_t *at, unsigned unit)
{
    /* Around the edges of bytes, blocks and pages; and what no file holds. */
    static const int64_t units[] = {1, 64, 4096, 131072, (int64_t)1 << 40, INT64_MAX / 65535};
    return (int64_t)(at[0] | at[1] << 8) * units[unit % 6] - (unit / 6 % 3 - 1);
}

/* The range where it lies must give what a copy of it gives, and -EFAULT beyond the file's end. */
static void check_digests(const uint8_t *content, size_t file_bytes, int64_t offset, int64_t range, int kernel)
{
    static uint8_t out[32 * 64], expected[32 * 64];
    if (range < 0 || range > (int64_t)(60 * CAPSEAL_SEGMENT_BYTES))
        range = range < 0 ? 0 : (int64_t)(60 * CAPSEAL_SEGMENT_BYTES);
    int error = capseal_sha256_file_segments(kernel, fd, offset, (size_t)range, out);
    if (range == 0) {
        demand(error == 0 || offset < 0);
        return;
    }
    if (offset < 0 || offset > (int64_t)file_bytes || (size_t)range > file_bytes - (size_t)offset) {
        /* The page in which a file ends can be read to its end, as zeros. */
        int64_t page_end = ((int64_t)file_bytes + 4095) / 4096 * 4096;
        demand(error != 0 || (offset >= 0 && offset + range <= page_end));
        return;
    }
    demand(error == 0);
    demand(capseal_sha256_segments(kernel, content + offset, (size_t)range, expected) == 0);
    demand(memcmp(out, expected, 32 * (((size_t)range + CAPSEAL_SEGMENT_BYTES - 1) / CAPSEAL_SEGMENT_BYTES)) == 0);
}

/* What is mapped must be what was written, and what is written there must be in the file. */
static void check_mapping(uint8_t *content, size_t file_bytes, int64_t offset, int64_t range)
{
    if (offset < 0 || range <= 0 || offset > (int64_t)file_bytes || (size_t)range > file_bytes - (size_t)offset)
        return;
    uint8_t *mapped = capseal_map(fd, offset, (size_t)range, 1);
    demand(mapped != NULL);
    demand(memcmp(mapped, content + offset, (size_t)range) == 0);
    mapped[range - 1] ^= 1;
    content[offset + range - 1] ^= 1;
    capseal_unmap(mapped, offset, (size_t)range);
    uint8_t last;
    demand(pread(fd, &last, 1, offset + range - 1) == 1 && last == content[offset + range - 1]);
}

#define FILES 4
static const char names[] = "a\0bb\0ccc\0none"; /* the last one is not there */
static const int64_t name_at[FILES] = {0, 2, 5, 9}, true_size[FILES] = {0, 1, 5000, 7};
static char place[] = "/tmp/capseal-fuzz-XXXXXX";
static int folder = -1;
static int64_t changed_ns[FILES];

static void remove_folder(void)
{
    for (int i = 0; i < FILES - 1; i++)
        (void)unlinkat(folder, names + name_at[i], 0);
    (void)rmdir(place);
}

static void make_folder(void)
{
    demand(mkdtemp(place) != NULL && (folder = open(place, O_RDONLY | O_DIRECTORY)) >= 0);
    (void)atexit(remove_folder);
    for (int i = 0; i < FILES - 1; i++) {
        int file = openat(folder, names + name_at[i], O_CREAT | O_RDWR | O_EXCL, 0600);
        struct stat now;
        for (int64_t j = 0; j < true_size[i]; j++) {
            uint8_t byte = (uint8_t)(i + 1 + j * 7);
            demand(write(file, &byte, 1) == 1);
        }
        demand(fstat(file, &now) == 0 && close(file) == 0);
        changed_ns[i] = (int64_t)now.st_mtim.tv_sec * 1000000000 + now.st_mtim.tv_nsec;
    }
}

/* Of files laid out anywhere, only what lies in the range may be written, and only as it is in the files. */
static void check_reading(const uint8_t *input, int64_t start, size_t length)
{
    int64_t sizes[FILES], changed[FILES], data_at[FILES];
    size_t first = input[0] % FILES, last = first + input[1] % (FILES - first + 1);
    for (int i = 0; i < FILES; i++) {
        sizes[i] = true_size[i] + (input[2 + i] < 8 ? input[2 + i] - 4 : 0);
        changed[i] = changed_ns[i] + (input[2 + i] == 255);
        data_at[i] = (input[6 + i] - 128) * (int64_t)61;
    }
    /* Exactly as large as may be touched, so that AddressSanitizer sees one byte too many. */
    uint8_t *out = malloc(length + 1), *expected = malloc(length + 1);
    demand(out != NULL && expected != NULL);
    memset(out, 0xA5, length), memset(expected, 0xA5, length);
    size_t done = capseal_read_files(folder, names, name_at, sizes, changed, data_at, first, last, start,
                                     start + (int64_t)length, out);
    demand(done <= last - first);
    for (size_t i = first; i < first + done; i++) {
        int within = sizes[i] > 0 && data_at[i] < start + (int64_t)length && data_at[i] + sizes[i] > start;
        demand(!within || (sizes[i] == true_size[i] && changed[i] == changed_ns[i] && i < FILES - 1));
        for (int64_t j = 0; within && j < sizes[i]; j++)
            if (data_at[i] + j >= start && data_at[i] + j < start + (int64_t)length)
                expected[data_at[i] + j - start] = (uint8_t)((int64_t)i + 1 + j * 7);
    }
    if (done == last - first)
        demand(memcmp(out, expected, length) == 0);
    free(out), free(expected);
}

/* Whatever room there is for names and rows, no more is written. */
static void check_listing(size_t names_bytes, size_t rows)
{
    char *found = malloc(names_bytes + 1);
    int64_t *table = malloc((rows * CAPSEAL_LISTED_FIELDS + 1) * sizeof *table);
    demand(found != NULL && table != NULL);
    int64_t count = capseal_list_folder(place, found, names_bytes, table, rows);
    demand(names_bytes >= 9 && rows >= 3 ? count == 3 : count < 0);
    for (int64_t i = 0; i < count; i++)
        demand(table[i * CAPSEAL_LISTED_FIELDS] == CAPSEAL_LISTED_FILE);
    free(found), free(table);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
    static uint8_t content[MOST_BYTES];
    if (size < 9)
        return 0;
    if (fd < 0) {
        demand((fd = memfd_create("fuzz", MFD_CLOEXEC)) >= 0);
        make_folder();
    }
    unsigned what = input[0], units = input[1];
    size_t file_bytes = (size_t)number(input + 2, units % 3) % MOST_BYTES, data_bytes = size - 9;
    int64_t offset = number(input + 4, units / 3), range = number(input + 6, units / 7);
    int kernel = input[8] % capseal_kernel_count();
    if (!capseal_kernel_usable(kernel))
        return 0;
    if (what % 8 == 4 && size >= 19)
        return check_reading(input + 9, offset % 20000, (size_t)(range & 0x3FFF)), 0;
    if (what % 8 == 5)
        return check_listing(input[2] % 16, input[3] % 5), 0;
    memset(content, 0, file_bytes);
    memcpy(content, input + 9, data_bytes < file_bytes ? data_bytes : file_bytes);
    demand(ftruncate(fd, 0) == 0 && ftruncate(fd, (off_t)file_bytes) == 0);
    demand(pwrite(fd, content, file_bytes, 0) == (ssize_t)file_bytes);
    demand(capseal_is_in_memory(fd) == 1);
    switch (what % 8) {
    case 0:
        capseal_preallocate(fd, range);
        break;
    case 1:
        capseal_start_writeback(fd, offset, range);
        break;
    case 2:
        check_mapping(content, file_bytes, offset, range);
        break;
    case 3:
        if (what > 250) /* takes two megabytes and a while */
            (void)capseal_allocate_huge(fd, offset % (8 * CAPSEAL_HUGE_BYTES));
        break;
    default:
        check_digests(content, file_bytes, offset, range, kernel);
    }
    return 0;
}
