/* Subscriptions, against a server that has them: subscriptions HOST PORT */
#include <poll.h>
#include <stdlib.h>

#include "check.h"

struct heard {
    memento *close;
    int count;
    char text[256];
};

static void hear(void *data, const memento_message *message)
{
    struct heard *heard = data;
    heard->count++;
    snprintf(heard->text, sizeof heard->text, "%.*s|%.*s|%.*s", (int)message->pattern_len,
             message->pattern != NULL ? message->pattern : "", (int)message->channel_len, message->channel,
             (int)message->payload_len, message->payload);
    if (heard->close != NULL)
        CHECK(memento_close(heard->close) == MEMENTO_OK);
}

static void call_again(void *data, const memento_message *message)
{
    memento *c = data;
    (void)message;
    IS(c, MEMENTO_EBUSY, memento_unsubscribe(c, "busy", 4));
    IS(c, MEMENTO_EBUSY, memento_poll(c, 0));
}

static void publish(memento *c, const char *channel, const char *payload, long long wanted)
{
    const char *words[] = {"PUBLISH", channel, payload};
    long long listeners = -1;
    memento_reply *reply;
    IS(c, MEMENTO_OK, memento_command(c, 3, words, NULL, &reply));
    CHECK(memento_reply_integer(reply, &listeners) == MEMENTO_OK && listeners == wanted);
    memento_reply_free(reply);
}

int main(int argc, char **argv)
{
    if (argc < 3)
        return 2;
    struct heard first = {0}, second = {0}, pattern = {0};
    char *val;
    size_t length;
    memento *c = memento_connect(argv[1], atoi(argv[2]), 20000);
    memento *other = memento_connect(argv[1], atoi(argv[2]), 20000);

    IS(c, MEMENTO_OK, memento_subscribe(c, "one", 3, hear, &first));
    IS(c, MEMENTO_OK, memento_psubscribe(c, "t*", 2, hear, &pattern));
    IS(c, 0, memento_poll(c, 0));
    publish(other, "one", "1", 1);
    publish(other, "two", "2", 1);
    publish(other, "none", "3", 0);
    while (first.count + pattern.count < 2)
        CHECK(memento_poll(c, 20000) > 0);
    CHECK(strcmp(first.text, "|one|1") == 0 && strcmp(pattern.text, "t*|two|2") == 0);

    /* Nothing else is to be asked on this handle. */
    IS(c, MEMENTO_ESTATE, memento_get(c, "k", 1, &val, &length));
    IS(c, MEMENTO_ESTATE, memento_auth(c, "pw", 2));
    IS(c, MEMENTO_OK, memento_pipeline_append(c, 1, (const char *[]){"PING"}, NULL));
    IS(c, MEMENTO_ESTATE, memento_pipeline_run(c, NULL, NULL));

    /* Another function for the same channel; a wait that the descriptor ends. */
    IS(c, MEMENTO_OK, memento_subscribe(c, "one", 3, hear, &second));
    publish(other, "one", "", 1);
    struct pollfd wait = {memento_fd(c), POLLIN, 0};
    CHECK(poll(&wait, 1, 20000) == 1);
    IS(c, 1, memento_poll(c, 0));
    CHECK(first.count == 1 && strcmp(second.text, "|one|") == 0);
    CHECK(poll(&wait, 1, 0) == 0);
    IS(c, 0, memento_poll(c, 10));

    /* Messages that come while something is asked are not lost. */
    publish(other, "one", "early", 1);
    CHECK(poll(&wait, 1, 20000) == 1);
    IS(c, MEMENTO_OK, memento_subscribe(c, "three", 5, hear, &first));
    CHECK(strcmp(second.text, "|one|early") == 0);

    IS(c, MEMENTO_OK, memento_unsubscribe(c, "one", 3));
    IS(c, MEMENTO_ESTATE, memento_unsubscribe(c, "one", 3));
    publish(other, "one", "late", 0);
    IS(c, MEMENTO_OK, memento_unsubscribe(c, "three", 5));
    IS(c, MEMENTO_OK, memento_punsubscribe(c, "t*", 2));
    IS(c, MEMENTO_NIL, memento_get(c, "k", 1, &val, &length));

    /* A callback that uses its handle, and one that closes it. */
    IS(c, MEMENTO_OK, memento_subscribe(c, "busy", 4, call_again, c));
    publish(other, "busy", "", 1);
    IS(c, 1, memento_poll(c, 20000));
    IS(c, MEMENTO_OK, memento_subscribe(c, "end", 3, hear, &first));
    first.close = c;
    first.count = 0;
    publish(other, "end", "1", 1);
    publish(other, "end", "2", 1);
    CHECK(memento_poll(c, 20000) == MEMENTO_EHANDLE && first.count == 1);
    CHECK(memento_poll(c, 20000) == MEMENTO_EHANDLE);
    CHECK(memento_close(other) == MEMENTO_OK);
    return failures != 0;
}
