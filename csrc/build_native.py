"""Build script of capseal._native (cffi, API mode, limited API)."""

import glob
import os
import subprocess
import sys

from cffi import FFI

HERE = os.path.dirname(os.path.abspath(__file__))


def _in_csrc(ending: str) -> list[str]:
    return sorted(f"csrc/{path}" for path in glob.glob(f"**/*.{ending}", root_dir=HERE, recursive=True))


ffibuilder = FFI()
ffibuilder.cdef(
    """
    int capseal_kernel_count(void);
    const char *capseal_kernel_name(int kernel);
    int capseal_kernel_usable(int kernel);

    #define CAPSEAL_CPU_SHA ...
    #define CAPSEAL_CPU_AVX2 ...
    #define CAPSEAL_CPU_AVX512 ...
    #define CAPSEAL_CPU_ARM_SHA2 ...
    unsigned capseal_cpu_features(void);

    int capseal_sha256_blocks(int kernel, const uint8_t *data, size_t n, size_t block_bytes, uint8_t *out);
    int capseal_sha256_leaves(int kernel, const uint8_t *data, size_t data_bytes, uint8_t *out);
    int capseal_sha256_segments(int kernel, const uint8_t *data, size_t data_bytes, uint8_t *out);
    int capseal_sha256_file_segments(int kernel, int fd, int64_t offset, size_t data_bytes, uint8_t *out);

    typedef struct {
        int64_t at, stop, end;
        int64_t held_from, held_to;
    } capseal_checked_span;
    int64_t capseal_send_checked(int kernel, int file, capseal_checked_span *span, const uint8_t *entries, int to,
                                 uint8_t *buffer);

    void capseal_preallocate(int fd, int64_t size);
    void capseal_start_writeback(int fd, int64_t offset, int64_t size);
    int64_t capseal_allocate_huge(int fd, int64_t offset);
    uint8_t *capseal_map(int fd, int64_t offset, size_t size, int writable);
    void capseal_unmap(const uint8_t *data, int64_t offset, size_t size);
    int capseal_is_in_memory(int fd);
    size_t capseal_read_files(int folder, const char *names, const int64_t *name_at, const int64_t *sizes,
                              const int64_t *changed_ns, const int64_t *data_at, size_t first, size_t last,
                              int64_t start, int64_t stop, uint8_t *out);
    size_t capseal_write_files(int folder, const char *names, const uint32_t *modes, const int64_t *data_at,
                               const int64_t *sizes, size_t count, const uint8_t *data);
    int64_t capseal_list_folder(const char *path, char *names, size_t names_bytes, int64_t *table, size_t rows);
    int capseal_contains(const uint8_t *data, size_t data_bytes, const char *word, size_t word_bytes, size_t rare);
    typedef struct {
        const char *names;
        const int64_t *name_at;
        const int64_t *methods;
        const int64_t *packed;
        const int64_t *sizes;
        const int64_t *starts;
    } capseal_zip_entries;
    void capseal_put_local_headers(const capseal_zip_entries *entries, size_t first, size_t last, const int64_t *crcs,
                                   const char *fixed, int64_t start, uint8_t *out);
    void capseal_put_directory(const capseal_zip_entries *entries, size_t count, const int64_t *crcs, const char *file,
                               const char *folder, uint8_t *out);
    size_t capseal_put_directory_of(const uint8_t *piece, size_t piece_bytes, int64_t start, const char *fixed,
                                    const char *file, const char *folder, size_t *at, size_t *count, uint8_t *out,
                                    size_t room);
    int capseal_is_cached(int fd, int64_t offset, int64_t size);
    int capseal_can_sync_file_system(int fd);
    int capseal_sync_file_system(int fd);

    typedef struct {
        const uint8_t *base;
        uint64_t base_bytes;
        uint32_t step;
        uint32_t table_bits;
        uint32_t *table;
        uint8_t *filter;
    } capseal_match_index;
    typedef struct {
        uint64_t at;
        int64_t diagonal;
        uint64_t done;
        int32_t retry;
    } capseal_match_place;
    int capseal_match_enter(const capseal_match_index *index);
    int64_t capseal_match_find(const capseal_match_index *index, const uint8_t *fresh, uint64_t fresh_bytes,
                               uint64_t least_bytes, capseal_match_place *place, uint64_t *matches, size_t room);
    """
)
ffibuilder.set_source(
    "capseal._native",
    '#include "sha256/capseal_hash.h"\n#include "file/capseal_checkedsend.h"\n#include "file/capseal_filereader.h"\n'
    '#include "file/capseal_filewriter.h"\n#include "file/capseal_listing.h"\n'
    '#include "file/capseal_mapped.h"\n#include "file/capseal_pagecache.h"\n#include "file/capseal_search.h"\n'
    '#include "file/capseal_zipheaders.h"\n'
    '#include "match/capseal_match.h"',
    # Relative paths: setuptools takes no other, and runs this from the project's root.
    sources=_in_csrc("c"),
    include_dirs=["csrc"],
    # What they are built from besides, which also puts it into the source distribution.
    depends=[*_in_csrc("h"), "csrc/build_native.py", "csrc/sha256/generated/generate_steps.py"],
    # Without a C compiler the package still installs and falls back to hashlib.
    optional=True,
)

if __name__ == "__main__":
    # In place, by setuptools: cffi's own compile() changes the folder, and would look for csrc/ elsewhere.
    subprocess.run([sys.executable, "setup.py", "build_ext", "--inplace"], cwd=os.path.dirname(HERE), check=True)
