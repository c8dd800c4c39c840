/* What each function does, against a server without keys: functions HOST PORT SOCKET-PATH */
#include <pthread.h>
#include <stdlib.h>

#include "check.h"

static int seen;

static void count_replies(void *data, size_t index, const memento_reply *reply)
{
    const char *text;
    size_t length;
    long long number;
    CHECK(data == &seen && index == (size_t)seen);
    switch (index % 4) {
    case 0:
        CHECK(memento_reply_type(reply) == MEMENTO_REPLY_STATUS);
        CHECK(memento_reply_string(reply, &text, &length) == MEMENTO_OK && length == 2 && memcmp(text, "OK", 2) == 0);
        CHECK(memento_reply_at(reply, 0) == NULL && memento_reply_count(reply) == 0);
        break;
    case 1:
        CHECK(memento_reply_type(reply) == MEMENTO_REPLY_INTEGER);
        CHECK(memento_reply_integer(reply, &number) == MEMENTO_OK && number == (long long)(index / 4 + 1));
        break;
    case 2:
        CHECK(memento_reply_type(reply) == MEMENTO_REPLY_ERROR);
        CHECK(memento_reply_string(reply, &text, &length) == MEMENTO_OK && memcmp(text, "ERR unknown", 11) == 0);
        break;
    case 3:
        CHECK(memento_reply_type(reply) == MEMENTO_REPLY_ARRAY && memento_reply_count(reply) == 2);
        CHECK(memento_reply_type(memento_reply_at(reply, 1)) == MEMENTO_REPLY_NIL);
        CHECK(memento_reply_string(memento_reply_at(reply, 0), &text, &length) == MEMENTO_OK && length == 3);
        CHECK(memcmp(text, "a\0b", 3) == 0);
        /* A part and a lent reply are nobody's to give back. */
        memento_reply_free((memento_reply *)reply);
        memento_reply_free((memento_reply *)memento_reply_at(reply, 0));
        break;
    }
    seen++;
}

static void fill(memento *c, int rounds)
{
    const char *set[] = {"SET", "p", "a\0b"}, *inc[] = {"INC", "n"}, *junk[] = {"NO-SUCH", "x"}, *mget[] = {"MGET", "p", "-"};
    const size_t lengths[] = {3, 1, 3};
    for (int i = 0; i < rounds; i++) {
        IS(c, MEMENTO_OK, memento_pipeline_append(c, 3, set, lengths));
        IS(c, MEMENTO_OK, memento_pipeline_append(c, 2, inc, NULL));
        IS(c, MEMENTO_OK, memento_pipeline_append(c, 2, junk, NULL));
        IS(c, MEMENTO_OK, memento_pipeline_append(c, 3, mget, NULL));
    }
}

static void call_again(void *data, size_t index, const memento_reply *reply)
{
    memento *c = data;
    (void)index, (void)reply;
    IS(c, MEMENTO_EBUSY, memento_del(c, "k", 1));
    IS(c, MEMENTO_EBUSY, memento_pipeline_run(c, NULL, NULL));
    CHECK(strstr(memento_last_error(c), "in use") != NULL);
    seen++;
}

static void close_it(void *data, size_t index, const memento_reply *reply)
{
    memento *c = data;
    (void)index, (void)reply;
    CHECK(memento_close(c) == MEMENTO_OK);
    CHECK(memento_close(c) == MEMENTO_EHANDLE);
    seen++;
}

static void *other_thread(void *data)
{
    CHECK(strcmp(memento_connect_error(), "") == 0);
    CHECK(memento_connect(data, 0, 100) == NULL);
    CHECK(strstr(memento_connect_error(), "port") != NULL);
    return NULL;
}

/* What a thread counts: on a handle of its own, and on one that all share against the rules. */
struct counting {
    const char *host;
    int port;
    memento *shared;
    int done, refused, failed;
};

static void *count_up(void *data)
{
    struct counting *counting = data;
    long long sum;
    memento *own = memento_connect(counting->host, counting->port, 20000);
    for (int i = 0; i < 200; i++) {
        counting->failed += memento_inc(own, "own", 3, 1, &sum) != MEMENTO_OK;
        int status = memento_inc(counting->shared, "shared", 6, 1, &sum);
        counting->done += status == MEMENTO_OK;
        counting->refused += status == MEMENTO_EBUSY;
    }
    counting->failed += memento_close(own) != MEMENTO_OK;
    return NULL;
}

static void in_threads(memento *c, const char *host, int port)
{
    pthread_t threads[4];
    struct counting counting[4];
    long long sum;
    int done = 0;
    for (int i = 0; i < 4; i++) {
        counting[i] = (struct counting){host, port, c, 0, 0, 0};
        CHECK(pthread_create(&threads[i], NULL, count_up, &counting[i]) == 0);
    }
    for (int i = 0; i < 4; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
        CHECK(counting[i].failed == 0 && counting[i].done + counting[i].refused == 200);
        done += counting[i].done;
    }
    IS(c, MEMENTO_OK, memento_inc(c, "own", 3, 0, &sum));
    CHECK(sum == 800);
    IS(c, MEMENTO_OK, memento_inc(c, "shared", 6, 0, &sum));
    CHECK(done > 0 && sum == done);
}

int main(int argc, char **argv)
{
    if (argc < 4)
        return 2;
    const char *host = argv[1], *text;
    char *val;
    size_t length, size;
    long long number;
    double sum;
    memento_reply *reply;
    pthread_t thread;

    memento *c = memento_connect(host, atoi(argv[2]), 20000);
    CHECK(c != NULL);
    CHECK(strcmp(memento_last_error(c), "") == 0);
    CHECK(memento_fd(c) >= 0);

    /* Values are binary, of any length. */
    IS(c, MEMENTO_NIL, memento_get(c, "k", 1, &val, &length));
    IS(c, MEMENTO_OK, memento_set(c, "k\0\r\n", 4, "v\0\r\n", 4, 0));
    IS(c, MEMENTO_OK, memento_get(c, "k\0\r\n", 4, &val, &length));
    CHECK(length == 4 && memcmp(val, "v\0\r\n", 5) == 0);
    memento_free(val);
    IS(c, MEMENTO_OK, memento_set(c, NULL, 0, NULL, 0, 0));
    IS(c, MEMENTO_OK, memento_get(c, NULL, 0, &val, &length));
    CHECK(length == 0 && *val == 0);
    memento_free(val);
    size = 3000000;
    char *large = malloc(size);
    memset(large, 'x', size);
    IS(c, MEMENTO_OK, memento_set(c, "large", 5, large, size, 0));
    IS(c, MEMENTO_OK, memento_get(c, "large", 5, &val, &length));
    CHECK(length == size && memcmp(val, large, size) == 0);
    memento_free(val);
    free(large);
    IS(c, MEMENTO_OK, memento_del(c, "large", 5));
    IS(c, MEMENTO_NIL, memento_del(c, "large", 5));

    /* Numbers. */
    IS(c, MEMENTO_OK, memento_inc(c, "i", 1, 5, &number));
    IS(c, MEMENTO_OK, memento_inc(c, "i", 1, -7, &number));
    CHECK(number == -2);
    IS(c, MEMENTO_OK, memento_incf(c, "f", 1, 0.1, &sum));
    IS(c, MEMENTO_OK, memento_incf(c, "f", 1, 0.2, &sum));
    CHECK(sum == 0.3);
    IS(c, MEMENTO_OK, memento_incf(c, "f", 1, -1.5e-7, &sum));
    CHECK(sum == 0.29999985);
    IS(c, MEMENTO_OK, memento_set(c, "t", 1, "text", 4, 0));
    number = 77;
    IS(c, MEMENTO_EREPLY, memento_inc(c, "t", 1, 1, &number));
    CHECK(number == 77 && strcmp(memento_last_error(c), "ERR value is not an integer or out of range") == 0);

    /* Pieces, times. */
    IS(c, MEMENTO_OK, memento_append(c, "t", 1, "!", 1, &length));
    CHECK(length == 5);
    IS(c, MEMENTO_OK, memento_prepend(c, "t", 1, "a ", 2, NULL));
    IS(c, MEMENTO_OK, memento_get(c, "t", 1, &val, &length));
    CHECK(strcmp(val, "a text!") == 0);
    memento_free(val);
    IS(c, MEMENTO_OK, memento_ttl(c, "t", 1, &number));
    CHECK(number == -1);
    IS(c, MEMENTO_OK, memento_expire(c, "t", 1, 100000));
    IS(c, MEMENTO_OK, memento_ttl(c, "t", 1, &number));
    CHECK(number > 50000 && number <= 100000);
    IS(c, MEMENTO_OK, memento_expire(c, "t", 1, 0));
    IS(c, MEMENTO_OK, memento_ttl(c, "t", 1, &number));
    CHECK(number == -1);
    IS(c, MEMENTO_NIL, memento_ttl(c, "-", 1, &number));
    IS(c, MEMENTO_NIL, memento_expire(c, "-", 1, 5));
    IS(c, MEMENTO_NIL, memento_expire(c, "-", 1, 0));
    IS(c, MEMENTO_OK, memento_set(c, "t", 1, "", 0, 1));
    do
        IS(c, MEMENTO_OK, memento_set(c, "wait", 4, "", 0, 0));
    while (memento_ttl(c, "t", 1, &number) == MEMENTO_OK);
    IS(c, MEMENTO_NIL, memento_get(c, "t", 1, &val, &length));

    /* Any command. */
    const char *words[] = {"MGET", "k\0\r\n", "-"};
    const size_t lengths[] = {4, 4, 1};
    IS(c, MEMENTO_OK, memento_command(c, 3, words, lengths, &reply));
    CHECK(memento_reply_type(reply) == MEMENTO_REPLY_ARRAY && memento_reply_count(reply) == 2);
    CHECK(memento_reply_string(memento_reply_at(reply, 0), &text, &length) == MEMENTO_OK && length == 4);
    CHECK(memcmp(text, "v\0\r\n", 4) == 0);
    CHECK(memento_reply_type(memento_reply_at(reply, 1)) == MEMENTO_REPLY_NIL);
    CHECK(memento_reply_string(memento_reply_at(reply, 1), &text, &length) == MEMENTO_ETYPE);
    CHECK(memento_reply_string(reply, &text, &length) == MEMENTO_ETYPE);
    CHECK(memento_reply_integer(reply, &number) == MEMENTO_ETYPE);
    CHECK(memento_reply_double(reply, &sum) == MEMENTO_ETYPE);
    CHECK(memento_reply_at(reply, 2) == NULL && memento_reply_at(reply, (size_t)-1) == NULL);
    memento_reply_free(reply);
    /* Arrays within arrays; all of a family's commands. */
    const char *command[] = {"COMMAND"};
    IS(c, MEMENTO_OK, memento_command(c, 1, command, NULL, &reply));
    CHECK(memento_reply_count(reply) > 50);
    for (size_t i = 0; i < memento_reply_count(reply); i++) {
        const memento_reply *row = memento_reply_at(reply, i);
        CHECK(memento_reply_string(memento_reply_at(row, 0), &text, &length) == MEMENTO_OK && length > 2);
        CHECK(memento_reply_integer(memento_reply_at(row, 1), &number) == MEMENTO_OK && number != 0);
        CHECK(memento_reply_double(memento_reply_at(row, 1), &sum) == MEMENTO_OK && sum == (double)number);
        CHECK(memento_reply_type(memento_reply_at(row, 2)) == MEMENTO_REPLY_ARRAY);
    }
    memento_reply_free(reply);
    const char *junk[] = {"NO-SUCH", "x"};
    reply = NULL;
    IS(c, MEMENTO_EREPLY, memento_command(c, 2, junk, NULL, &reply));
    CHECK(reply == NULL && strstr(memento_last_error(c), "unknown command") != NULL);
    const char *hello[] = {"HELLO", "3"}, *gone[] = {"GET", "-"};
    IS(c, MEMENTO_OK, memento_command(c, 2, hello, NULL, &reply));
    CHECK(memento_reply_type(reply) == MEMENTO_REPLY_MAP && memento_reply_count(reply) % 2 == 0);
    memento_reply_free(reply);
    IS(c, MEMENTO_OK, memento_command(c, 2, gone, NULL, &reply));
    CHECK(memento_reply_type(reply) == MEMENTO_REPLY_NIL);
    memento_reply_free(reply);

    /* Pipelines: of several replies each, of more than sockets hold, within each other, of none. */
    fill(c, 3);
    IS(c, MEMENTO_OK, memento_set(c, "between", 7, "x", 1, 0));
    IS(c, MEMENTO_OK, memento_pipeline_run(c, count_replies, &seen));
    CHECK(seen == 12);
    IS(c, MEMENTO_OK, memento_pipeline_run(c, count_replies, &seen));
    CHECK(seen == 12);
    fill(c, 5000);
    IS(c, MEMENTO_OK, memento_command(c, 2, (const char *[]){"DEL", "n"}, NULL, &reply));
    memento_reply_free(reply);
    seen = 0;
    IS(c, MEMENTO_OK, memento_pipeline_run(c, count_replies, &seen));
    CHECK(seen == 20000);
    fill(c, 1);
    IS(c, MEMENTO_OK, memento_pipeline_run(c, NULL, NULL));
    fill(c, 1);
    seen = 0;
    IS(c, MEMENTO_OK, memento_pipeline_run(c, call_again, c));
    CHECK(seen == 4);

    /* Handles: a Unix socket, one that its callback closes, one that was closed. */
    memento *unix_one = memento_connect_unix(argv[3], 20000);
    CHECK(unix_one != NULL);
    IS(unix_one, MEMENTO_OK, memento_get(unix_one, "k\0\r\n", 4, &val, &length));
    memento_free(val);
    fill(unix_one, 2);
    seen = 0;
    CHECK(memento_pipeline_run(unix_one, close_it, unix_one) == MEMENTO_EHANDLE && seen == 1);
    CHECK(memento_close(unix_one) == MEMENTO_EHANDLE);
    CHECK(memento_get(unix_one, "k", 1, &val, &length) == MEMENTO_EHANDLE);
    CHECK(memento_fd(unix_one) == MEMENTO_EHANDLE && memento_poll(unix_one, 0) == MEMENTO_EHANDLE);
    CHECK(strstr(memento_last_error(unix_one), "closed") != NULL);

    /* A subscription is refused, or there is none. */
    IS(c, MEMENTO_ESTATE, memento_poll(c, 0));
    IS(c, MEMENTO_ESTATE, memento_unsubscribe(c, "ch", 2));

    in_threads(c, host, atoi(argv[2]));

    /* Each thread has its own words about its connects. */
    CHECK(pthread_create(&thread, NULL, other_thread, (void *)host) == 0 && pthread_join(thread, NULL) == 0);
    CHECK(strcmp(memento_connect_error(), "") == 0);
    CHECK(strcmp(memento_version(), "0.1.0") == 0);
    for (int status = 1; status >= -13; status--)
        for (int other = 1; other > status; other--)
            CHECK(strcmp(memento_strerror(status), memento_strerror(other)) != 0);
    CHECK(memento_close(c) == MEMENTO_OK);
    return failures != 0;
}
