/* Digests of a file where it lies, safe from files that shrink under a mapping. */
#ifdef __linux__
#define _GNU_SOURCE
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#endif
#include "file/capseal_mapped.h"
#include "sha256/capseal_hash.h"
#include "file/capseal_pagecache.h"
#include <errno.h>

#ifdef __linux__

/* What this thread reads that may cease to be there, and where to go then. */
struct reading {
    const uint8_t *start, *end;
    sigjmp_buf gone;
};
static _Thread_local struct reading *volatile reading;

static struct sigaction before; /* what is done about everybody else's SIGBUS */

static void on_bus_error(int number, siginfo_t *info, void *context)
{
    const uint8_t *at = info->si_addr;
    if (reading != NULL && at >= reading->start && at < reading->end)
        siglongjmp(reading->gone, 1);
    if (before.sa_flags & SA_SIGINFO)
        before.sa_sigaction(number, info, context);
    else if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN)
        before.sa_handler(number);
    else
        signal(number, SIG_DFL); /* the access is tried again, and ends the process as it would have */
}

static void install(void)
{
    struct sigaction ours = {.sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigemptyset(&ours.sa_mask);
    sigaction(SIGBUS, &ours, &before);
}

/* Only once: a later handler may call ours, so that to go before it again could make a circle. */
static int is_guarded(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct sigaction now;
    pthread_once(&once, install);
    return sigaction(SIGBUS, NULL, &now) == 0 && now.sa_flags & SA_SIGINFO && now.sa_sigaction == on_bus_error;
}

/* The kernels hold nothing, no lock and no memory, that a jump out of them would leave behind. */
static int digest_guarded(int kernel, const uint8_t *data, size_t data_bytes, uint8_t *out)
{
    struct reading this_one = {.start = data, .end = data + data_bytes};
    if (sigsetjmp(this_one.gone, 1) != 0) {
        reading = NULL;
        return -EFAULT;
    }
    reading = &this_one;
    int error = capseal_sha256_segments(kernel, data, data_bytes, out);
    reading = NULL;
    return error;
}

int capseal_sha256_file_segments(int kernel, int fd, int64_t offset, size_t data_bytes, uint8_t *out)
{
    if (data_bytes == 0)
        return capseal_sha256_segments(kernel, NULL, 0, out);
    if (offset < 0 || offset > INT64_MAX - (int64_t)CAPSEAL_HUGE_BYTES || data_bytes > (size_t)1 << 40)
        return -EINVAL;
    if (!is_guarded())
        return -EOPNOTSUPP;
    const uint8_t *data = capseal_map(fd, offset, data_bytes, 0);
    if (data == NULL)
        return -errno;
    int error = digest_guarded(kernel, data, data_bytes, out);
    capseal_unmap(data, offset, data_bytes);
    return error;
}

#else

int capseal_sha256_file_segments(int kernel, int fd, int64_t offset, size_t data_bytes, uint8_t *out)
{
    (void)kernel, (void)fd, (void)offset, (void)data_bytes, (void)out;
    return -EOPNOTSUPP;
}

#endif
