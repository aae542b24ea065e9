/*
 * capseal_search.h - a word in a buffer, for private keys in a folder that is sealed.
 *
 * The one function here that looks at plaintext: on the publisher's own machine, before it is encrypted, for a
 * label that is the same for everybody (docs/threats.md, Timing and other side channels). Its result is whether
 * sealing goes on; nothing of the buffer is kept.
 */
#ifndef CAPSEAL_SEARCH_H
#define CAPSEAL_SEARCH_H

#include <stddef.h>
#include <stdint.h>

/*
 * Returns 1 where the word, in ASCII, occurs in data_bytes of data, of any alignment, as it is or in UTF-16 of
 * either order, else 0.
 *
 * rare: which byte of the word is looked for first; the fewer of it there are, the sooner it is done. Time is at
 * most linear in the product of both sizes.
 */
int capseal_contains(const uint8_t *data, size_t data_bytes, const char *word, size_t word_bytes, size_t rare);

#endif
