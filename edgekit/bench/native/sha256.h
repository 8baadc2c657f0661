/* SHA-256, as FIPS 180-4 defines it: phones have no library for it that a program of the shell may call. */
#ifndef EDGEKIT_BENCH_SHA256_H
#define EDGEKIT_BENCH_SHA256_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint32_t state[8];
    uint64_t bytes; /* so far */
    uint8_t block[64];
} Sha256;

void sha256_start(Sha256 *hash);
void sha256_add(Sha256 *hash, const void *content, size_t bytes);

/* Ends the hash; 64 lower-case digits. */
void sha256_end(Sha256 *hash, char digits[65]);

#endif
