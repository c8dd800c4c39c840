/*
 * What a handle keeps, and what becomes of a reply for which there is no memory: memory PORT ROW-PORT
 * The first server is memento; the second answers with a row of a million numbers.
 */
#define _GNU_SOURCE
#include <malloc.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "check.h"

/* How many bytes of the process's memory are in use. */
static size_t in_use(void)
{
    struct mallinfo2 all = mallinfo2();
    return all.uordblks + all.hblkhd;
}

static size_t address_space(void)
{
    size_t pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    CHECK(file != NULL && fscanf(file, "%zu", &pages) == 1);
    fclose(file);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

int main(int argc, char **argv)
{
    if (argc < 3)
        return 2;
    enum { LONG = 32 << 20 };
    char *val, *value = calloc(LONG, 1);
    size_t length;
    memento_reply *reply;
    const char *get[] = {"GET", "k"}, *row[] = {"ROW"};
    memento *c = memento_connect("127.0.0.1", atoi(argv[1]), 20000);
    CHECK(c != NULL);
    IS(c, MEMENTO_OK, memento_set(c, "k", 1, value, LONG, 0));
    free(value);

    /* The buffers of a big reply are given back with it. */
    size_t before = in_use();
    IS(c, MEMENTO_OK, memento_get(c, "k", 1, &val, &length));
    CHECK(length == LONG);
    memento_free(val);
    CHECK(in_use() < before + (1 << 20));
    IS(c, MEMENTO_OK, memento_command(c, 2, get, NULL, &reply));
    memento_reply_free(reply);
    CHECK(in_use() < before + (1 << 20));
    CHECK(memento_pipeline_append(c, 2, get, NULL) == MEMENTO_OK);
    IS(c, MEMENTO_OK, memento_pipeline_run(c, NULL, NULL));
    CHECK(in_use() < before + (1 << 20));
    CHECK(memento_close(c) == MEMENTO_OK);

    c = memento_connect("127.0.0.1", atoi(argv[2]), 20000);
    CHECK(c != NULL);
    IS(c, MEMENTO_OK, memento_command(c, 1, row, NULL, &reply));
    CHECK(memento_reply_count(reply) == 1000000);
    memento_reply_free(reply);
    CHECK(in_use() < before + (1 << 20));
    /* Its bytes find room, 4 MiB; so many values, 16 MB at least, do not. */
    malloc_trim(0);
    struct rlimit usual, tight;
    CHECK(getrlimit(RLIMIT_AS, &usual) == 0);
    tight = usual;
    tight.rlim_cur = address_space() + (14 << 20);
    CHECK(setrlimit(RLIMIT_AS, &tight) == 0);
    IS(c, MEMENTO_ENOMEM, memento_command(c, 1, row, NULL, &reply));
    CHECK(strstr(memento_last_error(c), "more values than there is memory for") != NULL);
    CHECK(memento_fd(c) == MEMENTO_ECLOSED);
    CHECK(setrlimit(RLIMIT_AS, &usual) == 0);
    IS(c, MEMENTO_OK, memento_command(c, 1, row, NULL, &reply));
    memento_reply_free(reply);
    CHECK(memento_close(c) == MEMENTO_OK);
    return failures != 0;
}
