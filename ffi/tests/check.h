/* For the tests in C: a failed check says where it stands, and goes on. */
#ifndef CHECK_H
#define CHECK_H

#include <stdio.h>
#include <string.h>

#include "memento.h"

static int failures;

#define CHECK(condition) \
    do { \
        if (!(condition)) { \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
            failures++; \
        } \
    } while (0)

/* A result, and the handle whose last error is shown where it is another one. */
#define IS(c, wanted, call) \
    do { \
        int got_ = (call); \
        if (got_ != (wanted)) { \
            fprintf(stderr, "%s:%d: %s is %d (%s: %s), wanted %d\n", __FILE__, __LINE__, #call, got_, \
                    memento_strerror(got_), memento_last_error(c), (wanted)); \
            failures++; \
        } \
    } while (0)

#endif
