/*
 * Signals with a handler, every few milliseconds, change no outcome: interrupted SILENT-PORT SLOW-PORT CHANNEL-PORT
 * The first server never answers; the second wants a password and sends its answers byte by byte; the third confirms a
 * subscription to `ch` and is silent then.
 */
#define _XOPEN_SOURCE 700
#include <signal.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

#include "check.h"

static volatile sig_atomic_t signals;

static void count(int number)
{
    (void)number;
    signals++;
}

static void never(void *data, const memento_message *message)
{
    (void)data, (void)message;
    CHECK(!"called");
}

static double now(void)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
    if (argc < 4)
        return 2;
    struct sigaction action;
    struct itimerval often = {{0, 3000}, {0, 3000}};
    enum { LONG = 8 << 20 };
    char *val, *value = calloc(LONG, 1);
    size_t length;
    memset(&action, 0, sizeof action);
    action.sa_handler = count;
    CHECK(sigaction(SIGALRM, &action, NULL) == 0 && setitimer(ITIMER_REAL, &often, NULL) == 0);

    /* A wait neither ends before its time, nor begins anew with each signal. */
    memento *c = memento_connect("127.0.0.1", atoi(argv[1]), 150);
    CHECK(c != NULL);
    double start = now();
    int before = signals;
    IS(c, MEMENTO_ETIMEOUT, memento_get(c, "k", 1, &val, &length));
    CHECK(now() - start >= 0.15 && signals - before > 3);
    IS(c, MEMENTO_ETIMEOUT, memento_set(c, "k", 1, value, LONG, 0));
    CHECK(memento_close(c) == MEMENTO_OK);

    c = memento_connect("127.0.0.1", atoi(argv[2]), 20000);
    CHECK(c != NULL);
    IS(c, MEMENTO_OK, memento_auth(c, "pw", 2));
    IS(c, MEMENTO_OK, memento_get(c, "k", 1, &val, &length));
    CHECK(length == 1 && *val == 'v');
    memento_free(val);
    CHECK(memento_close(c) == MEMENTO_OK);

    c = memento_connect("127.0.0.1", atoi(argv[3]), 20000);
    CHECK(c != NULL);
    IS(c, MEMENTO_OK, memento_subscribe(c, "ch", 2, never, NULL));
    start = now();
    before = signals;
    IS(c, 0, memento_poll(c, 100));
    CHECK(now() - start >= 0.1 && signals - before > 3);
    CHECK(memento_close(c) == MEMENTO_OK);
    free(value);
    return failures != 0;
}
