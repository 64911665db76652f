/* Ed25519 verifications per second by libsodium: prints a median of 11 rounds.
   cc -O2 sodium.c -lsodium */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { rounds = 11, calls = 500 };

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(void) {
    unsigned char public[crypto_sign_PUBLICKEYBYTES], secret[crypto_sign_SECRETKEYBYTES];
    unsigned char signature[crypto_sign_BYTES], message[64] = {0};
    double rates[rounds];
    if (sodium_init() < 0) return 1;
    crypto_sign_keypair(public, secret);
    crypto_sign_detached(signature, NULL, message, sizeof message, secret);
    for (int r = -1; r < rounds; r++) { /* the first one warms up */
        double start = now();
        for (int i = 0; i < calls; i++)
            if (crypto_sign_verify_detached(signature, message, sizeof message, public)) return 1;
        if (r >= 0) rates[r] = calls / (now() - start);
    }
    qsort(rates, rounds, sizeof *rates, ascending);
    printf("%s %.0f\n", sodium_version_string(), rates[rounds / 2]);
    return 0;
}
