/*
 * Each function with each argument NULL or absurd: an error, and never a crash. absurd HOST PORT [hostile]
 * With the last word the server breaks each conversation, and what reaches it is an error, too.
 */
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>

#include "check.h"

static void never(void *data, size_t index, const memento_reply *reply)
{
    (void)data, (void)index, (void)reply;
    CHECK(!"called");
}

static void never_a_message(void *data, const memento_message *message)
{
    (void)data, (void)message;
    CHECK(!"called");
}

/* All functions that take a handle, with all else as it should be. */
static void all_of(memento *c, int wanted)
{
    const char *words[] = {"PING"}, *text = "before";
    char *val = (char *)text;
    size_t length = 77;
    long long number = 77;
    double sum = 77;
    memento_reply *reply = (memento_reply *)text;
    CHECK(memento_auth(c, "pw", 2) == wanted);
    CHECK(memento_set(c, "k", 1, "v", 1, 0) == wanted);
    CHECK(memento_get(c, "k", 1, &val, &length) == wanted);
    CHECK(memento_del(c, "k", 1) == wanted);
    CHECK(memento_inc(c, "k", 1, 1, &number) == wanted);
    CHECK(memento_incf(c, "k", 1, 1, &sum) == wanted);
    CHECK(memento_append(c, "k", 1, "v", 1, &length) == wanted);
    CHECK(memento_prepend(c, "k", 1, "v", 1, &length) == wanted);
    CHECK(memento_expire(c, "k", 1, 1) == wanted);
    CHECK(memento_ttl(c, "k", 1, &number) == wanted);
    CHECK(memento_command(c, 1, words, NULL, &reply) == wanted);
    CHECK(memento_pipeline_append(c, 1, words, NULL) == wanted);
    CHECK(memento_pipeline_run(c, never, NULL) == wanted);
    CHECK(memento_subscribe(c, "ch", 2, never_a_message, NULL) == wanted);
    CHECK(memento_psubscribe(c, "ch", 2, never_a_message, NULL) == wanted);
    CHECK(memento_unsubscribe(c, "ch", 2) == wanted);
    CHECK(memento_punsubscribe(c, "ch", 2) == wanted);
    CHECK(memento_poll(c, -1) == wanted);
    CHECK(memento_fd(c) == wanted);
    CHECK(memento_close(c) == wanted);
    CHECK(strlen(memento_last_error(c)) > 0);
    CHECK(val == text && length == 77 && number == 77 && sum == 77 && (char *)reply == text);
}

static int is_hostile;

/* As IS, of a call that reaches the server. */
#define REACHES(c, wanted, call) \
    do { \
        if (is_hostile) \
            CHECK((call) < 0); \
        else \
            IS(c, wanted, call); \
    } while (0)

/* So short a time may be over before anything is done at all on a busy machine. */
static memento *connect_to(const char *host, int port)
{
    memento *c = NULL;
    for (int tries = 0; c == NULL && tries < 100; tries++)
        c = memento_connect(host, port, is_hostile ? 50 : 20000);
    CHECK(c != NULL);
    return c;
}

int main(int argc, char **argv)
{
    if (argc < 3)
        return 2;
    const char *host = argv[1], *text;
    int port = atoi(argv[2]), on_stack = 0;
    is_hostile = argc > 3;
    char *val, *too_long = malloc(1001);
    size_t length;
    long long number;
    double sum;
    memento_reply *reply;
    memset(too_long, 'x', 1000);
    too_long[1000] = 0;

    CHECK(memento_connect(NULL, port, 1000) == NULL && strlen(memento_connect_error()) > 0);
    CHECK(memento_connect("", port, 1000) == NULL && strlen(memento_connect_error()) > 0);
    CHECK(memento_connect("\xff\xfe", port, 1000) == NULL && strstr(memento_connect_error(), "UTF-8") != NULL);
    CHECK(memento_connect(too_long, port, 1000) == NULL && strlen(memento_connect_error()) > 0);
    CHECK(memento_connect(host, 0, 1000) == NULL && strstr(memento_connect_error(), "port") != NULL);
    CHECK(memento_connect(host, -1, 1000) == NULL && memento_connect(host, 65536 + port, 1000) == NULL);
    CHECK(memento_connect(host, port, -1) == NULL && strstr(memento_connect_error(), "timeout") != NULL);
    CHECK(memento_connect(host, port, INT_MIN) == NULL);
    CHECK(memento_connect_unix(NULL, 1000) == NULL && strlen(memento_connect_error()) > 0);
    CHECK(memento_connect_unix("", 1000) == NULL && strlen(memento_connect_error()) > 0);
    CHECK(memento_connect_unix("/", 1000) == NULL && strlen(memento_connect_error()) > 0);
    CHECK(memento_connect_unix(too_long, 1000) == NULL && strlen(memento_connect_error()) > 0);
    CHECK(memento_connect_unix("/no/such/path", INT_MAX) == NULL && strlen(memento_connect_error()) > 0);
    free(too_long);

    /* No handle, whatever its bits are: NULL, one that is closed, an address, any number. */
    all_of(NULL, MEMENTO_EHANDLE);
    memento *c = memento_connect(host, port, INT_MAX);
    CHECK(c != NULL && memento_close(c) == MEMENTO_OK);
    all_of(c, MEMENTO_EHANDLE);
    all_of((memento *)&on_stack, MEMENTO_EHANDLE);
    all_of((memento *)(uintptr_t)1, MEMENTO_EHANDLE);
    all_of((memento *)UINTPTR_MAX, MEMENTO_EHANDLE);

    c = connect_to(host, port);
    IS(c, MEMENTO_EINVAL, memento_auth(c, NULL, 1));
    IS(c, MEMENTO_EINVAL, memento_set(c, NULL, 1, "v", 1, 0));
    IS(c, MEMENTO_EINVAL, memento_set(c, "k", 1, NULL, 1, 0));
    IS(c, MEMENTO_EINVAL, memento_set(c, "k", SIZE_MAX, "v", 1, 0));
    IS(c, MEMENTO_EINVAL, memento_set(c, "k", 1, "v", SIZE_MAX / 2, 0));
    IS(c, MEMENTO_EINVAL, memento_set(c, "k", 1, "v", 1, -1));
    IS(c, MEMENTO_EINVAL, memento_set(c, "k", 1, "v", 1, LLONG_MIN));
    REACHES(c, MEMENTO_EREPLY, memento_set(c, "k", 1, "v", 1, LLONG_MAX));
    IS(c, MEMENTO_EINVAL, memento_get(c, NULL, 1, &val, &length));
    IS(c, MEMENTO_EINVAL, memento_get(c, "k", 1, NULL, &length));
    IS(c, MEMENTO_EINVAL, memento_get(c, "k", 1, &val, NULL));
    IS(c, MEMENTO_EINVAL, memento_del(c, NULL, 1));
    IS(c, MEMENTO_EINVAL, memento_inc(c, NULL, 1, 1, &number));
    IS(c, MEMENTO_EINVAL, memento_inc(c, "k", 1, 1, NULL));
    REACHES(c, MEMENTO_OK, memento_inc(c, "k", 1, LLONG_MIN, &number));
    REACHES(c, MEMENTO_EREPLY, memento_inc(c, "k", 1, -1, &number));
    IS(c, MEMENTO_EINVAL, memento_incf(c, NULL, 1, 1, &sum));
    IS(c, MEMENTO_EINVAL, memento_incf(c, "k", 1, 1, NULL));
    IS(c, MEMENTO_EINVAL, memento_incf(c, "k", 1, 1e308 * 10, &sum));
    IS(c, MEMENTO_EINVAL, memento_incf(c, "k", 1, 1e308 * 10 - 1e308 * 10, &sum));
    IS(c, MEMENTO_EINVAL, memento_append(c, "k", 1, NULL, 1, NULL));
    IS(c, MEMENTO_EINVAL, memento_prepend(c, NULL, 1, "v", 1, NULL));
    IS(c, MEMENTO_EINVAL, memento_expire(c, NULL, 1, 1));
    IS(c, MEMENTO_EINVAL, memento_expire(c, "k", 1, -1));
    REACHES(c, MEMENTO_EREPLY, memento_expire(c, "k", 1, LLONG_MAX));
    IS(c, MEMENTO_EINVAL, memento_ttl(c, NULL, 1, &number));
    IS(c, MEMENTO_EINVAL, memento_ttl(c, "k", 1, NULL));

    const char *words[] = {"GET", NULL}, *ping[] = {"PING"};
    const size_t lengths[] = {3, 1}, huge[] = {3, SIZE_MAX}, none[] = {3, 0};
    IS(c, MEMENTO_EINVAL, memento_command(c, 0, words, NULL, &reply));
    IS(c, MEMENTO_EINVAL, memento_command(c, -1, words, NULL, &reply));
    IS(c, MEMENTO_EINVAL, memento_command(c, INT_MIN, words, NULL, &reply));
    IS(c, MEMENTO_EINVAL, memento_command(c, INT_MAX, words, NULL, &reply));
    IS(c, MEMENTO_EINVAL, memento_command(c, 2, NULL, NULL, &reply));
    IS(c, MEMENTO_EINVAL, memento_command(c, 2, words, NULL, &reply));
    IS(c, MEMENTO_EINVAL, memento_command(c, 2, words, lengths, &reply));
    IS(c, MEMENTO_EINVAL, memento_command(c, 2, words, huge, &reply));
    IS(c, MEMENTO_EINVAL, memento_command(c, 1, ping, NULL, NULL));
    reply = NULL;
    REACHES(c, MEMENTO_OK, memento_command(c, 2, words, none, &reply));
    memento_reply_free(reply);
    IS(c, MEMENTO_EINVAL, memento_pipeline_append(c, 0, words, NULL));
    IS(c, MEMENTO_EINVAL, memento_pipeline_append(c, 2, words, huge));
    IS(c, MEMENTO_OK, memento_pipeline_run(c, never, NULL));
    IS(c, MEMENTO_EINVAL, memento_subscribe(c, "ch", 2, NULL, NULL));
    IS(c, MEMENTO_EINVAL, memento_subscribe(c, NULL, 2, never_a_message, NULL));
    IS(c, MEMENTO_EINVAL, memento_psubscribe(c, NULL, SIZE_MAX, never_a_message, NULL));
    IS(c, MEMENTO_EINVAL, memento_unsubscribe(c, NULL, 2));
    IS(c, MEMENTO_ESTATE, memento_punsubscribe(c, "ch", 2));
    IS(c, MEMENTO_ESTATE, memento_poll(c, INT_MIN));
    CHECK(memento_close(c) == MEMENTO_OK);

    memento_free(NULL);
    memento_reply_free(NULL);
    CHECK(memento_reply_type(NULL) == MEMENTO_EINVAL);
    CHECK(memento_reply_string(NULL, &text, &length) == MEMENTO_EINVAL);
    CHECK(memento_reply_integer(NULL, &number) == MEMENTO_EINVAL);
    CHECK(memento_reply_double(NULL, &sum) == MEMENTO_EINVAL);
    CHECK(memento_reply_count(NULL) == 0 && memento_reply_at(NULL, 0) == NULL);
    if (is_hostile)
        return failures != 0;
    c = connect_to(host, port);
    IS(c, MEMENTO_OK, memento_command(c, 1, ping, NULL, &reply));
    CHECK(memento_reply_string(reply, NULL, &length) == MEMENTO_EINVAL);
    CHECK(memento_reply_string(reply, &text, NULL) == MEMENTO_EINVAL);
    CHECK(memento_reply_integer(reply, NULL) == MEMENTO_EINVAL);
    CHECK(memento_reply_double(reply, NULL) == MEMENTO_EINVAL);
    memento_reply_free(reply);
    CHECK(memento_close(c) == MEMENTO_OK);
    CHECK(strlen(memento_strerror(INT_MIN)) > 0 && strlen(memento_strerror(INT_MAX)) > 0);
    return failures != 0;
}
