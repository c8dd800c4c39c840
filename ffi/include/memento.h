/*
 * libmemento: a client of memento, for programs in C and C++.
 *
 *     memento *c = memento_connect("127.0.0.1", 6737, 1000);
 *     if (c == NULL)
 *         return fprintf(stderr, "%s\n", memento_connect_error()), 1;
 *     if (memento_set(c, "k", 1, "v", 1, 0) != MEMENTO_OK)
 *         fprintf(stderr, "%s\n", memento_last_error(c));
 *     memento_close(c);
 *
 * Compile and link with `pkg-config --cflags --libs memento`; a program without any shared library with
 * `cc -static ... $(pkg-config --static --cflags --libs memento)`, and one with libmemento.a alone by naming that file.
 *
 * CONVENTIONS, which hold for every function:
 *
 * Who owns what. What a function is given (keys, values, words, names) it only reads until it returns; it keeps no
 * pointer to it. What a function gives, the caller owns where a function to give it back is named: memento_close for
 * handles, memento_free for values, memento_reply_free for replies. (free(3) is for neither.) All other pointers are
 * lent, for as long as is said there. A callback's data is never looked at; it must live as long as the callback may be
 * called.
 *
 * Bytes. Keys and values are a pointer and a length, and may hold any bytes, NUL too; a pointer may be NULL where the
 * length is 0. They may have 512 MiB, a command 1 GiB and 1,048,576 words, a reply 1 GiB. Where there is no memory for
 * a value, a command or a reply, that is MEMENTO_ENOMEM; where there is none for the little that a call needs besides,
 * the program is aborted. Between calls a handle holds 2 MiB at most, besides its password, its subscriptions, what waits
 * in its pipeline, and a message that has not come whole.
 *
 * Results. A function that can fail returns an int: MEMENTO_OK (0), MEMENTO_NIL (1: done, and there is nothing there)
 * or a negative number of `enum memento_status`. These numbers are part of the interface: none is ever reused for
 * another meaning, and new ones may come. Places for results are written only where MEMENTO_OK is returned. A place
 * must not be NULL, unless that is said. (memento_fd and memento_poll return numbers from 0 on where they succeed.)
 *
 * Wrong use. NULL, a handle that is closed, a word or number that cannot be meant: each is an error, and the server
 * never hears of it. A handle is no address but a number that is never given twice, so that one that was closed stays
 * closed.
 *
 * Time. Each call on a handle ends within the timeout that the handle was made with, all in all: connecting again,
 * sending, and the whole answer, however slowly it comes; only memento_poll has a time of its own besides. What is not
 * counted is the time of your callbacks, and of names looked up in /etc/hosts. 0 waits for ever.
 *
 * Connections. After MEMENTO_ETIMEOUT, MEMENTO_ECLOSED or MEMENTO_EPROTO, and after MEMENTO_ENOMEM amid an answer, the
 * connection is closed, since nobody knows what is still under way: whether the server has executed the command, it
 * alone knows. The next call connects again, and gives the password again that memento_auth had; where that is refused,
 * the call is MEMENTO_EREPLY, and nothing else was sent. Nothing is ever sent twice. A connection that has ended while
 * nothing was under way (a server that was restarted, an idle timeout) is replaced before a command is sent, and that
 * is no error. A server that says why it closes (it has too many clients, say) is MEMENTO_EREPLY with its words, even
 * where it did not take all of the command. What else a connection may have been told by memento_command (SELECT,
 * HELLO, CLIENT SETNAME, MULTI, WATCH) the new one does not know. A handle with subscriptions is another matter: see
 * memento_subscribe.
 *
 * Threads. The library has no threads. Different handles may be used by different threads at once. A handle is used by
 * one thread at a time, and not by a callback that it calls (except for memento_close): a second call meanwhile returns
 * MEMENTO_EBUSY and does nothing. After fork(2), a handle is for one of the two processes. A callback ends by its
 * return: no exception, longjmp(3) or pthread_cancel(3) may leave it.
 *
 * Signals and streams. The library raises no SIGPIPE, goes on where a signal interrupts it, installs no handler, and
 * writes to no standard stream.
 */
#ifndef MEMENTO_H
#define MEMENTO_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What the functions return. */
enum memento_status {
    MEMENTO_OK = 0,
    MEMENTO_NIL = 1,         /* done, and there is nothing there: no such key */
    MEMENTO_EINVAL = -1,     /* an argument is NULL, or too large, or not one of those allowed */
    MEMENTO_EHANDLE = -2,    /* the handle is NULL or closed */
    MEMENTO_ECONNECT = -3,   /* no connection to the server could be made */
    MEMENTO_ETIMEOUT = -4,   /* the server did not answer in time */
    MEMENTO_ECLOSED = -5,    /* the connection has ended before the answer was whole, or there is none */
    MEMENTO_EPROTO = -6,     /* what the server sent is no answer to this; memento_last_error shows it */
    MEMENTO_EREPLY = -7,     /* the server answered with an error, which is memento_last_error's text */
    MEMENTO_ENOMEM = -8,     /* there is not enough memory for it, or a reply has more than 1 GiB */
    MEMENTO_EBUSY = -9,      /* the handle is in use, by another thread or by the call that a callback belongs to */
    MEMENTO_ESTATE = -10,    /* the handle has subscriptions, or none where the call needs one */
    MEMENTO_ETYPE = -11,     /* the reply is of another type */
    MEMENTO_EBUG = -12       /* a mistake in the library; the handle is of no more use than to be closed */
};

/* A connection to a server, and what is kept for the next one. */
typedef struct memento memento;

/* A value of a reply, which may have children. */
typedef struct memento_reply memento_reply;


/* -- Handles -- */

/*
 * Connects to `host`, an address or a name of /etc/hosts, at `port`, within `timeout_ms` milliseconds (0: for ever);
 * this is the timeout of all later calls, too. Returns a handle, which memento_close takes back, or NULL:
 * memento_connect_error() then says why.
 */
memento *memento_connect(const char *host, int port, int timeout_ms);

/* The same at the Unix socket `path`. */
memento *memento_connect_unix(const char *path, int timeout_ms);

/* Why the last connect of this thread that failed did: a sentence, lent until this thread's next connect; never NULL. */
const char *memento_connect_error(void);

/*
 * Closes the connection and the handle; MEMENTO_EHANDLE when it is NULL or was closed before. In a callback it ends
 * what calls: no callback comes any more, and that call returns MEMENTO_EHANDLE.
 */
int memento_close(memento *c);

/* Gives the server's password, now and on each later connection of this handle. It is kept in memory until the close. */
int memento_auth(memento *c, const void *password, size_t length);


/* -- Keys and values -- */

/* Sets a key's value; after `ttl_ms` milliseconds the key ends (0: never). */
int memento_set(memento *c, const void *key, size_t klen, const void *val, size_t vlen, long long ttl_ms);

/*
 * Gets a key's value: `*val`, which memento_free takes back, and its length `*vlen`; behind it stands a NUL that does
 * not count. MEMENTO_NIL where there is no such key.
 *
 *     char *val;
 *     size_t vlen;
 *     if (memento_get(c, "k", 1, &val, &vlen) == MEMENTO_OK) {
 *         fwrite(val, 1, vlen, stdout);
 *         memento_free(val);
 *     }
 */
int memento_get(memento *c, const void *key, size_t klen, char **val, size_t *vlen);

/* Gives back what memento_get gave; NULL is nothing. */
void memento_free(void *val);

/* Deletes a key; MEMENTO_NIL where there is no such key. */
int memento_del(memento *c, const void *key, size_t klen);

/* Adds `by`, which may be negative, to a key's integer, 0 where there is no such key; `*result` is the sum. */
int memento_inc(memento *c, const void *key, size_t klen, long long by, long long *result);

/*
 * Adds `by` to a key's number, 0 where there is no such key; `*result` is the sum. The server adds decimal digits,
 * exactly (0.1 + 0.2 is 0.3), and keeps them; `by` is sent in the fewest digits that mean this double, and `*result` is
 * the double nearest to the sum. MEMENTO_EINVAL for what is not finite.
 */
int memento_incf(memento *c, const void *key, size_t klen, double by, double *result);

/* Puts bytes behind a key's value, empty where there is no such key; `*length` (may be NULL) is the new value's length. */
int memento_append(memento *c, const void *key, size_t klen, const void *val, size_t vlen, size_t *length);

/* Puts bytes before a key's value; the same otherwise. */
int memento_prepend(memento *c, const void *key, size_t klen, const void *val, size_t vlen, size_t *length);

/*
 * Lets a key end after `ttl_ms` milliseconds, or never where that is 0 (which takes two commands); MEMENTO_NIL where
 * there is no such key.
 */
int memento_expire(memento *c, const void *key, size_t klen, long long ttl_ms);

/*
 * How long a key still lives: `*ttl_ms` in milliseconds, -1 where it has no end. MEMENTO_NIL where there is no such
 * key.
 */
int memento_ttl(memento *c, const void *key, size_t klen, long long *ttl_ms);


/* -- Any command, and its reply -- */

/*
 * Sends a command of `argc` words (the first is its name) and gives its reply, which memento_reply_free takes back.
 * `argvlen` has the words' lengths; where it is NULL each word ends in NUL. An error that the server answers is
 * MEMENTO_EREPLY, and no reply; errors inside of an array (EXEC) are among its children.
 *
 * Not for commands that change how many replies come: SUBSCRIBE (see below), MONITOR, CLIENT REPLY.
 *
 *     const char *words[] = {"MGET", "a", "b"};
 *     memento_reply *reply;
 *     if (memento_command(c, 3, words, NULL, &reply) == MEMENTO_OK) {
 *         for (size_t i = 0; i < memento_reply_count(reply); i++) {
 *             const char *text;
 *             size_t length;
 *             if (memento_reply_string(memento_reply_at(reply, i), &text, &length) == MEMENTO_OK)
 *                 printf("%.*s\n", (int)length, text);
 *         }
 *         memento_reply_free(reply);
 *     }
 */
int memento_command(memento *c, int argc, const char *const *argv, const size_t *argvlen, memento_reply **reply);

/* What a reply is. Those behind NIL and ARRAY come only from a server that was told HELLO 3. */
enum memento_reply_type {
    MEMENTO_REPLY_STATUS = 1,  /* a short string: OK */
    MEMENTO_REPLY_STRING = 2,  /* bytes */
    MEMENTO_REPLY_ERROR = 3,
    MEMENTO_REPLY_INTEGER = 4,
    MEMENTO_REPLY_NIL = 5,     /* nothing there */
    MEMENTO_REPLY_ARRAY = 6,
    MEMENTO_REPLY_MAP = 7,     /* its children are a key, its value, the next key */
    MEMENTO_REPLY_SET = 8,
    MEMENTO_REPLY_DOUBLE = 9,
    MEMENTO_REPLY_BOOL = 10,
    MEMENTO_REPLY_BIGNUM = 11, /* an integer of any size, in digits */
    MEMENTO_REPLY_TEXT = 12,   /* bytes that are to be shown to people */
    MEMENTO_REPLY_PUSH = 13
};

/* The type of a reply; MEMENTO_EINVAL for NULL. */
int memento_reply_type(const memento_reply *reply);

/*
 * The bytes of a reply, lent for as long as the reply: of strings and errors what they say, of numbers their digits, of
 * a BOOL `t` or `f`. They may lack a NUL at their end. MEMENTO_ETYPE for NIL and what has children.
 */
int memento_reply_string(const memento_reply *reply, const char **text, size_t *length);

/* The number of an INTEGER; 1 or 0 of a BOOL; else MEMENTO_ETYPE. */
int memento_reply_integer(const memento_reply *reply, long long *number);

/* The number of a DOUBLE or an INTEGER; else MEMENTO_ETYPE. */
int memento_reply_double(const memento_reply *reply, double *number);

/* How many children an ARRAY, MAP, SET or PUSH has (of a MAP, keys and values together); 0 of all else and of NULL. */
size_t memento_reply_count(const memento_reply *reply);

/* The child at an index, from 0 on, lent for as long as the reply; NULL where there is none. Every index costs the same. */
const memento_reply *memento_reply_at(const memento_reply *reply, size_t index);

/* Gives back what memento_command gave, children and all; NULL, a child and a callback's reply are left as they are. */
void memento_reply_free(memento_reply *reply);


/* -- Pipelines: many commands at once, one wait for all -- */

/*
 * Puts a command (as memento_command has it) behind those of the handle's pipeline, which is sent by
 * memento_pipeline_run. Nothing is sent yet, and other calls go before it. The commands of a pipeline may have 1 GiB
 * together.
 */
int memento_pipeline_append(memento *c, int argc, const char *const *argv, const size_t *argvlen);

/* What gets the replies: `index` counts from 0 on; `reply` is lent until the callback returns. */
typedef void (*memento_reply_fn)(void *data, size_t index, const memento_reply *reply);

/*
 * Sends the pipeline and calls `fn` (may be NULL) with each command's reply, in order, while more are sent and received.
 * What the server refuses is a reply of the type ERROR and does not end the others. Where this fails, the commands whose
 * replies came are done or refused, and of the others nobody knows. The pipeline is empty afterwards, whatever became of
 * it. All of it must be over within the handle's timeout.
 */
int memento_pipeline_run(memento *c, memento_reply_fn fn, void *data);


/* -- Subscriptions -- */

/* A message; it and all to which it leads is lent until the callback returns. No text has a NUL at its end. */
typedef struct memento_message {
    const char *channel;
    size_t channel_len;
    const char *payload;
    size_t payload_len;
    const char *pattern; /* of memento_psubscribe, else NULL */
    size_t pattern_len;
} memento_message;

typedef void (*memento_message_fn)(void *data, const memento_message *message);

/*
 * Subscribes to a channel: from now on `fn` gets its messages, whenever memento_poll (or another function of this part)
 * works on the handle. A channel that is subscribed to already gets the new `fn` and `data`.
 *
 * A handle with subscriptions sends nothing but what the functions of this part do; all others that would send something
 * return MEMENTO_ESTATE. Use another handle for them.
 *
 * Where the connection breaks, memento_poll says so once, by an error: messages until it is made anew are lost. The
 * next memento_poll connects, and subscribes again to all that there was. So a loop goes on calling it; see
 * memento_poll. What a server answers with an error, such as too many subscriptions, is MEMENTO_EREPLY.
 */
int memento_subscribe(memento *c, const void *channel, size_t length, memento_message_fn fn, void *data);

/* The same for all channels that match a pattern (`news.*`). */
int memento_psubscribe(memento *c, const void *pattern, size_t length, memento_message_fn fn, void *data);

/*
 * Ends a subscription; MEMENTO_ESTATE where there is none. After the last one the handle is as any other. Where this
 * fails, the subscription stays.
 */
int memento_unsubscribe(memento *c, const void *channel, size_t length);
int memento_punsubscribe(memento *c, const void *pattern, size_t length);

/*
 * The descriptor of the connection, to be waited for (POLLIN) in a loop of your own, and for nothing else; when it is
 * readable, call memento_poll(c, 0). MEMENTO_ECLOSED while there is no connection.
 *
 * Ask anew after each function on the handle. A new connection may have the same number as the one before: after each
 * call that failed, epoll(7) has forgotten the descriptor and wants it added again. Wait for it level-triggered, as
 * poll(2) does; or call memento_poll(c, 0) until it returns 0. After each memento_(p)subscribe and memento_(p)unsubscribe
 * call memento_poll(c, 0) once before the next wait, for messages that came together with the answer.
 *
 *     struct pollfd wait = {memento_fd(c), POLLIN, 0};
 *     poll(&wait, 1, wait.fd < 0 ? 1000 : -1);
 *     if (memento_poll(c, 0) < 0)
 *         fprintf(stderr, "%s\n", memento_last_error(c));
 */
int memento_fd(memento *c);

/*
 * Calls the callbacks with the messages that are there. Where there are none, it waits for at most `timeout_ms`
 * milliseconds until there are (0: not at all; negative: for ever). Returns how many there were, or a negative number.
 * What keeps coming without a pause, such as a long message, it goes on receiving past that time. Where it has to
 * connect again, that takes as long as the handle's timeout allows; messages that come meanwhile are handed over and not
 * counted.
 */
int memento_poll(memento *c, int timeout_ms);


/* -- Words -- */

/* What a number of `enum memento_status` means: a text that is always there; never NULL. */
const char *memento_strerror(int status);

/*
 * Why the last call on this handle that failed did: a sentence (of MEMENTO_EREPLY the server's own words), lent until the
 * next call on it; empty where none has failed, and memento_strerror's where the handle is NULL, closed or in use.
 */
const char *memento_last_error(memento *c);

/* The version of the library: "0.1.0". */
const char *memento_version(void);

#ifdef __cplusplus
}
#endif

#endif
