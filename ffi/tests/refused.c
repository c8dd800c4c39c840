/*
 * A server that says why it closes the connection is heard, even amid a long value: refused PORT WORDS [amid]
 * With the last word the server speaks only when it has received something.
 */
#include <stdlib.h>

#include "check.h"

static int shown;
static const char *words;

static void refusal(void *data, size_t index, const memento_reply *reply)
{
    const char *text;
    size_t length;
    (void)data;
    shown++;
    CHECK(index == 0 && memento_reply_type(reply) == MEMENTO_REPLY_ERROR);
    CHECK(memento_reply_string(reply, &text, &length) == MEMENTO_OK);
    CHECK(length == strlen(words) && memcmp(text, words, length) == 0);
}

int main(int argc, char **argv)
{
    if (argc < 3)
        return 2;
    enum { LONG = 8 << 20 };
    char *value = malloc(LONG), *val;
    size_t length;
    memento_reply *reply;
    memset(value, 'x', LONG);
    words = argv[2];
    memento *c = memento_connect("127.0.0.1", atoi(argv[1]), 20000);
    CHECK(c != NULL);
    const char *set[] = {"SET", "k", value};
    const size_t lengths[] = {3, 1, LONG};
    for (int i = 0; i < 3; i++) {
        IS(c, MEMENTO_EREPLY, memento_set(c, "k", 1, value, LONG, 0));
        CHECK(strcmp(memento_last_error(c), words) == 0);
        IS(c, MEMENTO_EREPLY, memento_get(c, "k", 1, &val, &length));
        CHECK(strcmp(memento_last_error(c), words) == 0);
        IS(c, MEMENTO_EREPLY, memento_command(c, 3, set, lengths, &reply));
        CHECK(strcmp(memento_last_error(c), words) == 0);
    }
    for (int commands = 1; commands <= 2 && argc > 3; commands++) {
        for (int i = 0; i < commands; i++)
            CHECK(memento_pipeline_append(c, 3, set, lengths) == MEMENTO_OK);
        IS(c, MEMENTO_ECLOSED, memento_pipeline_run(c, refusal, NULL));
        CHECK(shown == commands && memento_fd(c) == MEMENTO_ECLOSED);
    }
    CHECK(memento_close(c) == MEMENTO_OK);
    free(value);
    return failures != 0;
}
