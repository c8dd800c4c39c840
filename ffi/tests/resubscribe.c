/*
 * A subscriber whose connection a server with a password ends: it gives the password again, and listens to the same
 * channels and patterns as before. resubscribe PORT (of a redis-server that is for this alone)
 */
#include <stdlib.h>

#include "check.h"

static void hear(void *data, const memento_message *message)
{
    char *text = data;
    size_t length = strlen(text);
    snprintf(text + length, 256 - length, "%.*s|%.*s|%.*s;", (int)message->pattern_len,
             message->pattern != NULL ? message->pattern : "", (int)message->channel_len, message->channel,
             (int)message->payload_len, message->payload);
}

/* Sends a command of words that ends with NULL; gives its number. */
static long long number_of(memento *c, const char *const *words)
{
    int argc = 0;
    long long number = -1;
    memento_reply *reply;
    while (words[argc] != NULL)
        argc++;
    IS(c, MEMENTO_OK, memento_command(c, argc, words, NULL, &reply));
    memento_reply_integer(reply, &number);
    memento_reply_free(reply);
    return number;
}

int main(int argc, char **argv)
{
    if (argc < 2)
        return 2;
    char one[256] = "", two[256] = "", patterns[256] = "";
    const char *kill[] = {"CLIENT", "KILL", "TYPE", "pubsub", NULL};
    memento *other = memento_connect("127.0.0.1", atoi(argv[1]), 20000);
    memento *c = memento_connect("127.0.0.1", atoi(argv[1]), 20000);
    CHECK(other != NULL && c != NULL);
    number_of(other, (const char *[]){"CONFIG", "SET", "requirepass", "pw", NULL});
    IS(other, MEMENTO_OK, memento_auth(other, "pw", 2));
    IS(c, MEMENTO_OK, memento_auth(c, "pw", 2));
    IS(c, MEMENTO_OK, memento_subscribe(c, "one", 3, hear, one));
    IS(c, MEMENTO_OK, memento_subscribe(c, "two", 3, hear, two));
    IS(c, MEMENTO_OK, memento_psubscribe(c, "n*.x", 4, hear, patterns));
    IS(c, MEMENTO_OK, memento_psubscribe(c, "gone*", 5, hear, patterns));
    /* What such a handle does not take leaves its connection as it is. */
    IS(c, MEMENTO_ESTATE, memento_auth(c, "no", 2));
    CHECK(memento_fd(c) >= 0);
    for (int i = 0; i < 2; i++) {
        CHECK(number_of(other, kill) == 1);
        IS(c, MEMENTO_ECLOSED, memento_poll(c, 20000));
        CHECK(memento_fd(c) == MEMENTO_ECLOSED);
        if (i == 0)
            /* What is ended meanwhile is not made again. */
            IS(c, MEMENTO_OK, memento_punsubscribe(c, "gone*", 5));
        IS(c, 0, memento_poll(c, 0));
        CHECK(number_of(other, (const char *[]){"PUBLISH", "one", "1", NULL}) == 1);
        CHECK(number_of(other, (const char *[]){"PUBLISH", "news.x", "2", NULL}) == 1);
        CHECK(number_of(other, (const char *[]){"PUBLISH", "gone.x", "3", NULL}) == 0);
        CHECK(number_of(other, (const char *[]){"PUBLISH", "two", "4", NULL}) == 1);
        for (int heard = 0, got; heard < 3; heard += got)
            if ((got = memento_poll(c, 20000)) <= 0) {
                IS(c, 1, got);
                break;
            }
        CHECK(strcmp(one, "|one|1;") == 0 && strcmp(two, "|two|4;") == 0);
        CHECK(strcmp(patterns, "n*.x|news.x|2;") == 0);
        *one = *two = *patterns = 0;
    }
    /* A password that is taken no more is an error of each poll. */
    number_of(other, (const char *[]){"CONFIG", "SET", "requirepass", "another", NULL});
    CHECK(number_of(other, kill) == 1);
    IS(c, MEMENTO_ECLOSED, memento_poll(c, 20000));
    for (int i = 0; i < 2; i++) {
        IS(c, MEMENTO_EREPLY, memento_poll(c, 20000));
        CHECK(strstr(memento_last_error(c), "WRONGPASS") != NULL && memento_fd(c) == MEMENTO_ECLOSED);
    }
    CHECK(memento_close(c) == MEMENTO_OK && memento_close(other) == MEMENTO_OK);
    return failures != 0;
}
