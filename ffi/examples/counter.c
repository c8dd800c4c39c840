/* A counter that any number of programs add to: counter HOST PORT KEY [BY] */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "memento.h"

int main(int argc, char **argv)
{
    if (argc < 4) {
        fprintf(stderr, "usage: %s HOST PORT KEY [BY]\n", argv[0]);
        return 2;
    }
    memento *c = memento_connect(argv[1], atoi(argv[2]), 1000);
    if (c == NULL) {
        fprintf(stderr, "%s\n", memento_connect_error());
        return 1;
    }
    long long sum;
    int status = memento_inc(c, argv[3], strlen(argv[3]), argc > 4 ? atoll(argv[4]) : 1, &sum);
    if (status == MEMENTO_OK)
        printf("%lld\n", sum);
    else
        fprintf(stderr, "%s: %s\n", memento_strerror(status), memento_last_error(c));
    memento_close(c);
    return status == MEMENTO_OK ? 0 : 1;
}
