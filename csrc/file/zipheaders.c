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
