/* Which kernels there are, which of them run here, and the three entry points over any of them. */
#include "sha256/kernels.h"

#include <errno.h>
#include <string.h>

#ifdef CAPSEAL_X86_64
#include <cpuid.h>
#elif defined(CAPSEAL_ARM64) && defined(__linux__)
#include <sys/auxv.h>
#ifndef HWCAP_SHA2
#define HWCAP_SHA2 (1 << 6)
#endif
#endif

#define STAGES 3

/*
 * A kernel as callers know it: its stages from wide to narrow, each handing what is left to the
 * next. The last has one lane.
 */
static const struct kernel {
    const char *name;
    unsigned needs;
    struct {
        size_t lanes;
        capseal_kernel_fn *digest;
    } stages[STAGES];
} kernels[] = {
#ifdef CAPSEAL_X86_64
    {"hybrid",
     CAPSEAL_CPU_SHA | CAPSEAL_CPU_AVX512,
     {{16, capseal_sha256_hybrid_x16}, {4, capseal_sha256_shani_x4}, {1, capseal_sha256_shani_x1}}},
    {"shani", CAPSEAL_CPU_SHA, {{4, capseal_sha256_shani_x4}, {1, capseal_sha256_shani_x1}}},
    {"avx512",
     CAPSEAL_CPU_AVX512 | CAPSEAL_CPU_AVX2,
     {{16, capseal_sha256_avx512_x16}, {8, capseal_sha256_avx2_x8}, {1, capseal_sha256_scalar}}},
    {"avx2", CAPSEAL_CPU_AVX2, {{8, capseal_sha256_avx2_x8}, {1, capseal_sha256_scalar}}},
#endif
#ifdef CAPSEAL_ARM64
    {"armv8", CAPSEAL_CPU_ARM_SHA2, {{4, capseal_sha256_armv8_x4}, {1, capseal_sha256_armv8_x1}}},
#endif
    {"scalar", 0, {{1, capseal_sha256_scalar}}},
};

#define KERNELS ((int)(sizeof kernels / sizeof kernels[0]))

#ifdef CAPSEAL_X86_64
static unsigned ask_cpu(void)
{
    unsigned features = 0, eax, ebx, ecx, edx, leaf7_ebx = 0, xcr0 = 0, xcr0_high;
    if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx))
        return 0;
    unsigned ssse3 = ecx >> 9 & 1, sse41 = ecx >> 19 & 1, osxsave = ecx >> 27 & 1, avx = ecx >> 28 & 1;
    if (osxsave)
        __asm__ volatile("xgetbv" : "=a"(xcr0), "=d"(xcr0_high) : "c"(0));
    if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx))
        leaf7_ebx = ebx;
    /* XCR0: 0x06 is xmm and ymm, 0xe0 the mask registers and both parts of the zmm registers. */
    unsigned ymm = avx && (xcr0 & 0x06) == 0x06, zmm = ymm && (xcr0 & 0xe6) == 0xe6;
    if (ssse3 && sse41 && leaf7_ebx >> 29 & 1)
        features |= CAPSEAL_CPU_SHA;
    if (ymm && leaf7_ebx >> 5 & 1)
        features |= CAPSEAL_CPU_AVX2;
    if (zmm && leaf7_ebx >> 16 & 1 && leaf7_ebx >> 30 & 1 && leaf7_ebx >> 31 & 1)
        features |= CAPSEAL_CPU_AVX512;
    /* "AuthenticAMD" or "HygonGenuine". */
    if (__get_cpuid(0, &eax, &ebx, &ecx, &edx) && (ebx == 0x68747541 || ebx == 0x6f677948))
        features |= CAPSEAL_CPU_MIXES;
    return features;
}
#elif defined(CAPSEAL_ARM64) && defined(__linux__)
static unsigned ask_cpu(void) { return getauxval(AT_HWCAP) & HWCAP_SHA2 ? CAPSEAL_CPU_ARM_SHA2 : 0; }
#elif defined(CAPSEAL_ARM64) && (defined(__APPLE__) || defined(__ARM_FEATURE_SHA2))
static unsigned ask_cpu(void) { return CAPSEAL_CPU_ARM_SHA2; } /* every 64-bit Mac has it */
#else
static unsigned ask_cpu(void) { return 0; }
#endif

unsigned capseal_cpu_features(void)
{
#ifdef __GNUC__
    /* cpuid traps under a hypervisor, so it runs once; threads that race find the same answer. */
    static unsigned remembered;
    const unsigned known = 1u << 31;
    unsigned features = __atomic_load_n(&remembered, __ATOMIC_RELAXED);
    if (!(features & known)) {
        features = ask_cpu() | known;
        __atomic_store_n(&remembered, features, __ATOMIC_RELAXED);
    }
    return features & ~known;
#else
    return ask_cpu();
#endif
}

int capseal_kernel_count(void) { return KERNELS; }

const char *capseal_kernel_name(int kernel)
{
    return kernel >= 0 && kernel < KERNELS ? kernels[kernel].name : NULL;
}

int capseal_kernel_usable(int kernel)
{
    return kernel >= 0 && kernel < KERNELS && (kernels[kernel].needs & ~capseal_cpu_features()) == 0;
}

static int check(int kernel, const uint8_t *data, size_t data_bytes, const uint8_t *out)
{
    if (kernel < 0 || kernel >= KERNELS || (data_bytes > 0 && data == NULL) || out == NULL)
        return -EINVAL;
    return capseal_kernel_usable(kernel) ? 0 : -ENOTSUP;
}

/* What digests blocks of one stage. One block alone has no lanes to fill: the SHA extensions take it, where there are. */
static capseal_kernel_fn *digest_of(const struct kernel *kernel, int stage)
{
#ifdef CAPSEAL_X86_64
    if (stage > 0 && kernel->stages[stage].digest == capseal_sha256_scalar && capseal_cpu_features() & CAPSEAL_CPU_SHA)
        return capseal_sha256_shani_x1;
#endif
    return kernel->stages[stage].digest;
}

static void digest(const struct kernel *kernel, const uint8_t *data, size_t n, size_t block_bytes, uint8_t *out)
{
    size_t done = 0;
    for (int i = 0; done < n; i++) {
        size_t lanes = kernel->stages[i].lanes, now = (n - done) / lanes * lanes;
        if (now == 0)
            continue;
        digest_of(kernel, i)(data + done * block_bytes, now, block_bytes, out + done * CAPSEAL_DIGEST_BYTES);
        done += now;
        /* One lane after the other is slow: rather digest some blocks again in a last full step. */
        if (n - done > 1 && kernel->stages[i + 1].lanes == 1) {
            done = n - lanes;
            kernel->stages[i].digest(data + done * block_bytes, lanes, block_bytes,
                                     out + done * CAPSEAL_DIGEST_BYTES);
            return;
        }
    }
}

/* The number of blocks that the kernel's narrowest stage above one lane takes at once. */
static size_t narrow_lanes(const struct kernel *kernel)
{
    size_t lanes = 1;
    for (int i = 0; i < STAGES && kernel->stages[i].lanes > 1; i++)
        lanes = kernel->stages[i].lanes;
    return lanes;
}

int capseal_sha256_blocks(int kernel, const uint8_t *data, size_t n, size_t block_bytes, uint8_t *out)
{
    if (n > 0 && (block_bytes > SIZE_MAX / n || (uint64_t)block_bytes >> 61))
        return -EINVAL;
    int error = check(kernel, data, n * block_bytes, out);
    if (error)
        return error;
    static const uint8_t nothing; /* empty blocks may come with no data at all */
    digest(&kernels[kernel], data ? data : &nothing, n, block_bytes, out);
    return 0;
}

static void digest_leaves(const struct kernel *kernel, const uint8_t *data, size_t data_bytes, uint8_t *out)
{
    size_t whole = data_bytes / CAPSEAL_BLOCK_BYTES, rest = data_bytes % CAPSEAL_BLOCK_BYTES;
    digest(kernel, data, whole, CAPSEAL_BLOCK_BYTES, out);
    if (rest) {
        uint8_t last[CAPSEAL_BLOCK_BYTES] = {0};
        memcpy(last, data + whole * CAPSEAL_BLOCK_BYTES, rest);
        digest(kernel, last, 1, CAPSEAL_BLOCK_BYTES, out + whole * CAPSEAL_DIGEST_BYTES);
    }
}

int capseal_sha256_leaves(int kernel, const uint8_t *data, size_t data_bytes, uint8_t *out)
{
    int error = check(kernel, data, data_bytes, out);
    if (error)
        return error;
    if (data_bytes > 0)
        digest_leaves(&kernels[kernel], data, data_bytes, out);
    return 0;
}

int capseal_sha256_segments(int kernel, const uint8_t *data, size_t data_bytes, uint8_t *out)
{
    enum { HASH_BLOCKS = 8 }; /* as many as the widest narrow stage takes */
    uint8_t hash_blocks[HASH_BLOCKS * CAPSEAL_BLOCK_BYTES], digests[HASH_BLOCKS * CAPSEAL_DIGEST_BYTES];
    int error = check(kernel, data, data_bytes, out);
    if (error)
        return error;
    for (size_t done = 0; done < data_bytes;) {
        size_t now = data_bytes - done, most = (size_t)HASH_BLOCKS * CAPSEAL_SEGMENT_BYTES;
        if (now > most)
            now = most;
        size_t segments = (now + CAPSEAL_SEGMENT_BYTES - 1) / CAPSEAL_SEGMENT_BYTES;
        size_t leaves = (now + CAPSEAL_BLOCK_BYTES - 1) / CAPSEAL_BLOCK_BYTES;
        digest_leaves(&kernels[kernel], data + done, now, hash_blocks);
        /* Behind the last leaf there are zeros, and in all unused hash blocks. */
        memset(hash_blocks + leaves * CAPSEAL_DIGEST_BYTES, 0, sizeof hash_blocks - leaves * CAPSEAL_DIGEST_BYTES);
        /* Two or three hash blocks cost no more than a full step's worth of them. */
        size_t lanes = narrow_lanes(&kernels[kernel]);
        size_t blocks = segments > 1 && segments < lanes ? lanes : segments;
        digest(&kernels[kernel], hash_blocks, blocks, CAPSEAL_BLOCK_BYTES, digests);
        memcpy(out, digests, segments * CAPSEAL_DIGEST_BYTES);
        out += segments * CAPSEAL_DIGEST_BYTES;
        done += now;
    }
    return 0;
}
