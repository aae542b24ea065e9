/* See capseal_search.h. */
#define _GNU_SOURCE /* memmem, which C libraries other than GNU's have too */
#include "file/capseal_search.h"

#include <string.h>

int capseal_contains(const uint8_t *data, size_t data_bytes, const char *word, size_t word_bytes)
{
    return memmem(data, data_bytes, word, word_bytes) != NULL;
}
