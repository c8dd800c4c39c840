/*
 * A cache before work that takes long: what is asked for again within a minute is not worked out again.
 * cache SOCKET-PATH NUMBER...: for each number, how many primes are below it.
 *
 * Where there is no server, or it fails, all is worked out: a cache must not be what a program stands or falls with.
 */
#include <stdio.h>
#include <stdlib.h>

#include "memento.h"

#define KEPT_MS 60000

static unsigned long primes_below(unsigned long bound)
{
    unsigned long count = 0;
    for (unsigned long number = 2; number < bound; number++) {
        unsigned long divisor = 2;
        while (divisor * divisor <= number && number % divisor != 0)
            divisor++;
        count += divisor * divisor > number;
    }
    return count;
}

static unsigned long cached_primes_below(memento *c, unsigned long bound)
{
    char key[64], text[32], *val;
    size_t vlen;
    int klen = snprintf(key, sizeof key, "primes:%lu", bound);
    int status = memento_get(c, key, (size_t)klen, &val, &vlen);
    if (status == MEMENTO_OK) {
        /* Behind the value stands a NUL. */
        unsigned long count = strtoul(val, NULL, 10);
        memento_free(val);
        printf("%lu: %lu (cached)\n", bound, count);
        return count;
    }
    unsigned long count = primes_below(bound);
    printf("%lu: %lu\n", bound, count);
    if (status == MEMENTO_NIL) {
        int length = snprintf(text, sizeof text, "%lu", count);
        status = memento_set(c, key, (size_t)klen, text, (size_t)length, KEPT_MS);
    }
    if (status != MEMENTO_OK)
        fprintf(stderr, "not cached: %s\n", c != NULL ? memento_last_error(c) : memento_connect_error());
    return count;
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: %s SOCKET-PATH NUMBER...\n", argv[0]);
        return 2;
    }
    /* NULL is a handle that fails at each call: there is nothing more to look at here. */
    memento *c = memento_connect_unix(argv[1], 200);
    for (int i = 2; i < argc; i++)
        cached_primes_below(c, strtoul(argv[i], NULL, 10));
    if (c != NULL)
        memento_close(c);
    return 0;
}
