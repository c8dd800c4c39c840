/* Pipelines that end before their time: pipelines SILENT-PORT DYING-PORT; both servers answer OK once. */
#include <stdlib.h>

#include "check.h"

static int seen;

static void count(void *data, size_t index, const memento_reply *reply)
{
    (void)data;
    CHECK(index == (size_t)seen && memento_reply_type(reply) == MEMENTO_REPLY_STATUS);
    seen++;
}

static void count_and_close(void *data, size_t index, const memento_reply *reply)
{
    count(data, index, reply);
    CHECK(memento_close(data) == MEMENTO_OK);
}

static void fill(memento *c)
{
    const char *ping[] = {"PING"};
    for (int i = 0; i < 3; i++)
        IS(c, MEMENTO_OK, memento_pipeline_append(c, 1, ping, NULL));
}

int main(int argc, char **argv)
{
    if (argc < 3)
        return 2;
    /* Who closes the handle does not wait for the rest, which never comes. */
    memento *c = memento_connect("127.0.0.1", atoi(argv[1]), 0);
    fill(c);
    CHECK(memento_pipeline_run(c, count_and_close, c) == MEMENTO_EHANDLE && seen == 1);
    CHECK(memento_close(c) == MEMENTO_EHANDLE);

    /* Where the server dies, the replies that came are shown, and nothing is sent again. */
    c = memento_connect("127.0.0.1", atoi(argv[2]), 20000);
    fill(c);
    seen = 0;
    IS(c, MEMENTO_ECLOSED, memento_pipeline_run(c, count, NULL));
    CHECK(seen == 1);
    IS(c, MEMENTO_OK, memento_pipeline_run(c, count, NULL));
    CHECK(seen == 1);
    CHECK(memento_close(c) == MEMENTO_OK);
    return failures != 0;
}
