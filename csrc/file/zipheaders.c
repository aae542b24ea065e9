/* See capseal_zipheaders.h. */
#include "file/capseal_zipheaders.h"

#include <string.h>

static void put(uint8_t *out, int64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        out[i] = (uint8_t)(value >> 8 * i);
}

/* Fields that both headers have, in one order, from the method on; without the times, which are fixed. */
static void put_shared(const capseal_zip_entries *of, size_t i, int64_t crc, size_t name_bytes, uint8_t *method)
{
    put(method, of->methods[i], 2);
    put(method + 6, crc, 4);
    put(method + 10, of->packed[i], 4);
    put(method + 14, of->sizes[i], 4);
    put(method + 18, (int64_t)name_bytes, 2);
}

static uint64_t taken(const uint8_t *from, int bytes)
{
    uint64_t value = 0;
    for (int i = 0; i < bytes; i++)
        value |= (uint64_t)from[i] << 8 * i;
    return value;
}

static size_t name_bytes_of(const capseal_zip_entries *of, size_t i)
{
    return (size_t)(of->name_at[i + 1] - of->name_at[i] - 1);
}

void capseal_put_local_headers(const capseal_zip_entries *entries, size_t first, size_t last, const int64_t *crcs,
                               const char *fixed, int64_t start, uint8_t *out)
{
    for (size_t i = first; i < last; i++) {
        uint8_t *header = out + (entries->starts[i] - start);
        size_t name_bytes = name_bytes_of(entries, i);
        memcpy(header, fixed, CAPSEAL_ZIP_LOCAL_BYTES);
        put_shared(entries, i, crcs[i - first], name_bytes, header + 8);
        memcpy(header + CAPSEAL_ZIP_LOCAL_BYTES, entries->names + entries->name_at[i], name_bytes);
    }
}

void capseal_put_directory(const capseal_zip_entries *entries, size_t count, const int64_t *crcs, const char *file,
                           const char *folder, uint8_t *out)
{
    for (size_t i = 0; i < count; i++) {
        size_t name_bytes = name_bytes_of(entries, i);
        const char *name = entries->names + entries->name_at[i];
        int is_folder = name_bytes > 0 && name[name_bytes - 1] == '/';
        memcpy(out, is_folder ? folder : file, CAPSEAL_ZIP_CENTRAL_BYTES);
        put_shared(entries, i, crcs[i], name_bytes, out + 10);
        put(out + 42, entries->starts[i], 4);
        memcpy(out + CAPSEAL_ZIP_CENTRAL_BYTES, name, name_bytes);
        out += CAPSEAL_ZIP_CENTRAL_BYTES + name_bytes;
    }
}

size_t capseal_put_directory_of(const uint8_t *piece, size_t piece_bytes, int64_t start, const char *fixed,
                                const char *file, const char *folder, size_t *at, size_t *count, uint8_t *out,
                                size_t room)
{
    size_t written = 0;
    while (*at <= piece_bytes && piece_bytes - *at >= CAPSEAL_ZIP_LOCAL_BYTES) {
        const uint8_t *header = piece + *at, *name = header + CAPSEAL_ZIP_LOCAL_BYTES;
        uint64_t offset = (uint64_t)start + *at, packed = taken(header + 18, 4), bytes = taken(header + 22, 4);
        size_t name_bytes = (size_t)taken(header + 26, 2);
        size_t whole = CAPSEAL_ZIP_LOCAL_BYTES + name_bytes, entry = CAPSEAL_ZIP_CENTRAL_BYTES + name_bytes;
        /* Signature, version and flags; times; the length of the extra field. Not open but there. */
        if (memcmp(header, fixed, 8) != 0 || memcmp(header + 10, fixed + 10, 4) != 0 || taken(header + 28, 2) != 0)
            break;
        if (name_bytes == 0 || whole > piece_bytes - *at || entry > room - written)
            break;
        if (packed >= CAPSEAL_ZIP_MAX32 || bytes >= CAPSEAL_ZIP_MAX32 || offset >= CAPSEAL_ZIP_MAX32)
            break;
        memcpy(out + written, name[name_bytes - 1] == '/' ? folder : file, CAPSEAL_ZIP_CENTRAL_BYTES);
        memcpy(out + written + 10, header + 8, 2);
        memcpy(out + written + 16, header + 14, 14);
        put(out + written + 42, (int64_t)offset, 4);
        memcpy(out + written + CAPSEAL_ZIP_CENTRAL_BYTES, name, name_bytes);
        written += entry;
        *at += whole + (size_t)packed;
        *count += 1;
    }
    return written;
}
