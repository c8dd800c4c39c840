/*
 * A subscriber within a loop of the program's own: subscriber HOST PORT CHANNEL...
 * It prints messages, goes on where the server goes away and comes back, and ends with its standard input.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "memento.h"

static void print_message(void *data, const memento_message *message)
{
    unsigned long *count = data;
    ++*count;
    printf("%.*s: %.*s\n", (int)message->channel_len, message->channel, (int)message->payload_len, message->payload);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    unsigned long count = 0;
    if (argc < 4) {
        fprintf(stderr, "usage: %s HOST PORT CHANNEL...\n", argv[0]);
        return 2;
    }
    memento *c = memento_connect(argv[1], atoi(argv[2]), 1000);
    if (c == NULL) {
        fprintf(stderr, "%s\n", memento_connect_error());
        return 1;
    }
    for (int i = 3; i < argc; i++) {
        if (memento_subscribe(c, argv[i], strlen(argv[i]), print_message, &count) != MEMENTO_OK) {
            fprintf(stderr, "%s\n", memento_last_error(c));
            memento_close(c);
            return 1;
        }
    }
    printf("subscribed\n");
    fflush(stdout);
    /* Messages that came with the last confirmation. */
    int got = memento_poll(c, 0);
    for (;;) {
        /* A descriptor below 0 is one that poll(2) passes over: then a connection is tried again each 100 ms. */
        struct pollfd fds[2] = {{STDIN_FILENO, POLLIN, 0}, {memento_fd(c), POLLIN, 0}};
        if (poll(fds, 2, fds[1].fd < 0 ? 100 : -1) < 0)
            break;
        if (fds[0].revents != 0) {
            char line[256];
            if (read(STDIN_FILENO, line, sizeof line) <= 0)
                break;
        }
        if (fds[1].fd < 0 || fds[1].revents != 0) {
            int before = got;
            got = memento_poll(c, 0);
            if (got < 0 && before >= 0)
                fprintf(stderr, "%s\n", memento_last_error(c));
            if (got >= 0 && before < 0) {
                printf("subscribed again\n");
                fflush(stdout);
            }
        }
    }
    printf("%lu messages\n", count);
    memento_close(c);
    return 0;
}
