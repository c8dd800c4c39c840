/*
 * memento_poll against a server that confirms a subscription to `ch`, and sends something else behind it: each time the
 * same outcome, and a new connection where that is an error. polling PORT STATUS WORDS-OF-THE-ERROR
 */
#include <stdlib.h>

#include "check.h"

static void never(void *data, const memento_message *message)
{
    (void)data, (void)message;
    CHECK(!"called");
}

int main(int argc, char **argv)
{
    if (argc < 4)
        return 2;
    int wanted = atoi(argv[2]);
    memento *c = memento_connect("127.0.0.1", atoi(argv[1]), 20000);
    CHECK(c != NULL);
    IS(c, MEMENTO_OK, memento_subscribe(c, "ch", 2, never, NULL));
    for (int i = 0; i < 3; i++) {
        IS(c, wanted, memento_poll(c, wanted < 0 ? 20000 : 10));
        CHECK(strstr(memento_last_error(c), argv[3]) != NULL);
        CHECK((memento_fd(c) >= 0) == (wanted == 0));
    }
    CHECK(memento_close(c) == MEMENTO_OK);
    return failures != 0;
}
