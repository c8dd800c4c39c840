/* Calls in a random order, whatever they give, to a server that answers anything: chaos PORT SEED CALLS */
#include <stdlib.h>

#include "check.h"

static unsigned long state, walked;

static unsigned below(unsigned bound)
{
    state = state * 6364136223846793005ul + 1442695040888963407ul;
    return (unsigned)(state >> 33) % bound;
}

/* Looks at all that a reply has. */
static void walk(const memento_reply *reply)
{
    const char *text;
    size_t length;
    long long number;
    double sum;
    if (memento_reply_string(reply, &text, &length) == MEMENTO_OK)
        for (size_t i = 0; i < length; i++)
            walked += (unsigned char)text[i];
    if (memento_reply_integer(reply, &number) == MEMENTO_OK)
        walked += (unsigned long)number;
    if (memento_reply_double(reply, &sum) == MEMENTO_OK)
        walked += sum > 0;
    for (size_t i = 0; i < memento_reply_count(reply); i++)
        walk(memento_reply_at(reply, i));
}

static void walk_one(void *data, size_t index, const memento_reply *reply)
{
    (void)data, (void)index;
    walk(reply);
}

static void walk_message(void *data, const memento_message *message)
{
    (void)data;
    for (size_t i = 0; i < message->payload_len; i++)
        walked += (unsigned char)message->payload[i];
}

int main(int argc, char **argv)
{
    if (argc < 4)
        return 2;
    const char *words[] = {"ANY", "thing"};
    char *val;
    size_t length;
    long long number;
    double sum;
    memento_reply *reply;
    state = strtoul(argv[2], NULL, 10);
    /* So short a time may be over before anything is done at all on a busy machine. */
    memento *c = NULL;
    for (int tries = 0; c == NULL && tries < 100; tries++)
        c = memento_connect("127.0.0.1", atoi(argv[1]), 25);
    CHECK(c != NULL);
    for (int i = 0; i < atoi(argv[3]); i++) {
        switch (below(8)) {
        case 0:
            if (memento_get(c, "k", 1, &val, &length) == MEMENTO_OK) {
                walked += length > 0 ? (unsigned char)val[length - 1] : 0;
                memento_free(val);
            }
            break;
        case 1:
            memento_set(c, "k", 1, "v", 1, 0);
            break;
        case 2:
            memento_inc(c, "k", 1, 1, &number);
            break;
        case 3:
            memento_incf(c, "k", 1, 1, &sum);
            break;
        case 4:
        case 5:
            if (memento_command(c, 2, words, NULL, &reply) == MEMENTO_OK) {
                walk(reply);
                memento_reply_free(reply);
            }
            break;
        case 6:
            for (unsigned left = below(10); left > 0; left--)
                memento_pipeline_append(c, 2, words, NULL);
            memento_pipeline_run(c, walk_one, NULL);
            break;
        case 7:
            memento_subscribe(c, "ch", 2, walk_message, NULL);
            memento_poll(c, 0);
            memento_unsubscribe(c, "ch", 2);
            break;
        }
    }
    CHECK(memento_close(c) == MEMENTO_OK);
    printf("%lu\n", walked);
    return failures != 0;
}
