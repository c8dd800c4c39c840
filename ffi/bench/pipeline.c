/*
 * SETs in pipelines through libmemento, or with -DHIREDIS through hiredis, the same program otherwise:
 * pipeline PORT COMMANDS BATCH prints SETs a second by the wall clock, and microseconds of this process's processor time
 * a SET.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <time.h>

#ifdef HIREDIS
#include <hiredis/hiredis.h>
#else
#include "memento.h"
#endif

static unsigned long done;

static double seconds(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

static double cpu(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

static double wall(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

#ifndef HIREDIS
static void count_ok(void *data, size_t index, const memento_reply *reply)
{
    (void)data, (void)index;
    done += memento_reply_type(reply) == MEMENTO_REPLY_STATUS;
}
#endif

int main(int argc, char **argv)
{
    if (argc < 4)
        return 2;
    unsigned long commands = strtoul(argv[2], NULL, 10), batch = strtoul(argv[3], NULL, 10);
    char key[32];
    const char *words[] = {"SET", key, "a value of some thirty-two bytes"};
    size_t lengths[] = {3, 0, 32};
#ifdef HIREDIS
    redisContext *c = redisConnect("127.0.0.1", atoi(argv[1]));
    if (c == NULL || c->err != 0)
        return 1;
#else
    memento *c = memento_connect("127.0.0.1", atoi(argv[1]), 60000);
    if (c == NULL)
        return 1;
#endif
    double wall_before = wall(), cpu_before = cpu();
    for (unsigned long sent = 0; sent < commands; sent += batch) {
        for (unsigned long i = 0; i < batch; i++) {
            unsigned long number = (sent + i) % 100000;
            memcpy(key, "key:00000000", 12);
            for (char *digit = key + 11; number > 0; number /= 10)
                *digit-- = (char)('0' + number % 10);
            lengths[1] = 12;
#ifdef HIREDIS
            redisAppendCommandArgv(c, 3, words, lengths);
        }
        for (unsigned long i = 0; i < batch; i++) {
            redisReply *reply;
            if (redisGetReply(c, (void **)&reply) != REDIS_OK)
                return 1;
            done += reply->type == REDIS_REPLY_STATUS;
            freeReplyObject(reply);
        }
#else
            memento_pipeline_append(c, 3, words, lengths);
        }
        if (memento_pipeline_run(c, count_ok, NULL) != MEMENTO_OK)
            return 1;
#endif
    }
    double wall_spent = wall() - wall_before, cpu_spent = cpu() - cpu_before;
    if (done < commands || done >= commands + batch) {
        fprintf(stderr, "%lu of %lu commands were answered with OK\n", done, commands);
        return 1;
    }
    printf("%.0f %.4f\n", (double)done / wall_spent, cpu_spent * 1e6 / (double)done);
#ifdef HIREDIS
    redisFree(c);
#else
    memento_close(c);
#endif
    return 0;
}
