/*
 * What becomes of a handle whose server wants a password and closes each connection in the middle of the answer to the
 * second GET, after GET of `bye`, and after the password `last`, which it takes once: reconnect PORT
 */
#include <poll.h>
#include <stdlib.h>

#include "check.h"

/* Waits until the server's end of the connection has come. */
static void wait_for_end(memento *c)
{
    struct pollfd wait = {memento_fd(c), POLLIN, 0};
    CHECK(poll(&wait, 1, 20000) == 1);
}

int main(int argc, char **argv)
{
    if (argc < 2)
        return 2;
    char *val;
    size_t length;
    memento *c = memento_connect("127.0.0.1", atoi(argv[1]), 20000);
    CHECK(c != NULL);
    IS(c, MEMENTO_OK, memento_auth(c, "pw", 2));
    for (int i = 0; i < 3; i++) {
        IS(c, MEMENTO_OK, memento_get(c, "k", 1, &val, &length));
        CHECK(length == 1 && *val == 'v');
        memento_free(val);
        val = NULL;
        IS(c, MEMENTO_ECLOSED, memento_get(c, "k", 1, &val, &length));
        CHECK(val == NULL && memento_fd(c) == MEMENTO_ECLOSED);
    }
    /* A connection that ends with nothing under way is no error of the next call. */
    IS(c, MEMENTO_OK, memento_get(c, "bye", 3, &val, &length));
    memento_free(val);
    wait_for_end(c);
    IS(c, MEMENTO_OK, memento_get(c, "k", 1, &val, &length));
    memento_free(val);
    /* A password that is taken no more is an error of the call that would have been the first. */
    IS(c, MEMENTO_OK, memento_auth(c, "last", 4));
    wait_for_end(c);
    IS(c, MEMENTO_EREPLY, memento_get(c, "k", 1, &val, &length));
    CHECK(strstr(memento_last_error(c), "WRONGPASS") != NULL);
    /* It can be replaced; one that is refused replaces nothing. */
    IS(c, MEMENTO_OK, memento_auth(c, "pw", 2));
    IS(c, MEMENTO_OK, memento_get(c, "k", 1, &val, &length));
    memento_free(val);
    IS(c, MEMENTO_EREPLY, memento_auth(c, "no", 2));
    IS(c, MEMENTO_OK, memento_get(c, "k", 1, &val, &length));
    memento_free(val);
    CHECK(memento_close(c) == MEMENTO_OK);
    return failures != 0;
}
