/*
 * Each call against a server that breaks the conversation, always with the same outcome, and a new connection for the
 * next one: hostile PORT TIMEOUT-MS STATUS WORDS-OF-THE-ERROR [typed]
 * With the last word, the server's answers are some, of another type than any function wants.
 */
#include <stdlib.h>

#include "check.h"

static memento *c;
static int wanted;
static const char *words;

static void is(const char *what, int status)
{
    if (status != wanted || strstr(memento_last_error(c), words) == NULL) {
        fprintf(stderr, "%s: %d, %s\n", what, status, memento_last_error(c));
        failures++;
    }
}

static void any_reply(void *data, size_t index, const memento_reply *reply)
{
    const char *text;
    size_t length;
    (void)data, (void)index;
    if (memento_reply_string(reply, &text, &length) == MEMENTO_OK)
        failures += length > 100;
}

static void any_message(void *data, const memento_message *message)
{
    (void)data, (void)message;
}

int main(int argc, char **argv)
{
    if (argc < 5)
        return 2;
    int port = atoi(argv[1]), timeout_ms = atoi(argv[2]);
    const char *ping[] = {"PING", "x"};
    char *val;
    size_t length;
    long long number;
    double sum;
    memento_reply *reply;
    wanted = atoi(argv[3]);
    words = argv[4];
    c = memento_connect("127.0.0.1", port, timeout_ms);
    CHECK(c != NULL);
    is("auth", memento_auth(c, "pw", 2));
    is("set", memento_set(c, "k", 1, "v", 1, 0));
    is("get", memento_get(c, "k", 1, &val, &length));
    is("del", memento_del(c, "k", 1));
    is("inc", memento_inc(c, "k", 1, 1, &number));
    is("incf", memento_incf(c, "k", 1, 1, &sum));
    is("append", memento_append(c, "k", 1, "v", 1, NULL));
    is("prepend", memento_prepend(c, "k", 1, "v", 1, NULL));
    is("expire", memento_expire(c, "k", 1, 1));
    is("ttl", memento_ttl(c, "k", 1, &number));
    CHECK(memento_fd(c) == MEMENTO_ECLOSED);
    if (argc == 5) {
        is("command", memento_command(c, 2, ping, NULL, &reply));
        for (int i = 0; i < 10000; i++)
            CHECK(memento_pipeline_append(c, 2, ping, NULL) == MEMENTO_OK);
        is("pipeline", memento_pipeline_run(c, any_reply, NULL));
        CHECK(memento_pipeline_run(c, any_reply, NULL) == MEMENTO_OK);
    }
    is("subscribe", memento_subscribe(c, "ch", 2, any_message, NULL));
    is("psubscribe", memento_psubscribe(c, "ch", 2, any_message, NULL));
    CHECK(memento_poll(c, 0) == MEMENTO_ESTATE);
    CHECK(memento_close(c) == MEMENTO_OK);
    return failures != 0;
}
