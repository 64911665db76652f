/* Asks a server on loopback, one question for each connection, so many connections at a time, the
   next one as soon as one is done: `ask PORT FILE N AT-A-TIME [framed]`.

   The file has lines of a question and how its answer ends, both in hex, asked over and over, N in
   all. Standard output: for each the nanoseconds from before connecting until all of the answer
   was there, a line each. An answer ends with the stream; a framed one, of a server that
   does not close, where its length says, a u16 before it. A wrong answer is an error.
   cc -O2 ask.c */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { most_questions = 1000, most_bytes = 65536, most_connections = 1024 };

struct bytes { unsigned char *at; size_t size; };
struct connection { int fd; const struct bytes *end; long long since; size_t size; unsigned char answer[most_bytes]; };

static struct bytes questions[most_questions], ends[most_questions];
static struct connection connections[most_connections];
static int known, framed, poll_fd;
static struct sockaddr_in server = {.sin_family = AF_INET};

static void die(const char *what) {
    fprintf(stderr, "ask: %s: %s\n", what, errno ? strerror(errno) : "no");
    exit(1);
}

static long long now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static struct bytes of_hex(const char *s) {
    struct bytes b = {malloc(strlen(s) / 2 + 1), 0};
    for (unsigned byte; sscanf(s, "%2x", &byte) == 1; s += 2) b.at[b.size++] = byte;
    return b;
}

static void read_questions(const char *path) {
    FILE *file = fopen(path, "r");
    static char question[2 * most_bytes + 1], end[2 * most_bytes + 1];
    if (!file) die(path);
    for (; known < most_questions && fscanf(file, "%131072s %131072s", question, end) == 2; known++) {
        questions[known] = of_hex(question);
        ends[known] = of_hex(end);
    }
    if (!known) die("no question");
}

static void ask(struct connection *c, long i) {
    const struct bytes *q = &questions[i % known];
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    int yes = 1;
    c->end = &ends[i % known];
    c->size = 0;
    c->since = now();
    if ((c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) < 0) die("socket");
    if (setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes)) die("setsockopt");
    if (connect(c->fd, (struct sockaddr *)&server, sizeof server)) die("connect");
    if (send(c->fd, q->at, q->size, MSG_NOSIGNAL) != (ssize_t)q->size) die("send");
    if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, c->fd, &event)) die("epoll_ctl");
}

static int whole(const struct connection *c) {
    return framed && c->size >= 2 && c->size == 2 + 256u * c->answer[0] + c->answer[1];
}

/* Reads what is there: 1 once the answer is whole. */
static int advance(struct connection *c) {
    for (;;) {
        ssize_t n = recv(c->fd, c->answer + c->size, sizeof c->answer - c->size, MSG_DONTWAIT);
        if (n < 0 && errno == EAGAIN) return 0;
        if (n < 0) die("recv");
        c->size += n;
        if (n == 0 ? !framed : whole(c)) return 1;
        if (n == 0 || c->size == sizeof c->answer) { errno = 0; die("an answer without an end"); }
    }
}

static void finish(struct connection *c) {
    printf("%lld\n", now() - c->since);
    errno = 0;
    if (c->size < c->end->size || memcmp(c->answer + c->size - c->end->size, c->end->at, c->end->size)) die("a wrong answer");
    if (close(c->fd)) die("close");
}

int main(int count, char **words) {
    if (count < 5) die("ask PORT FILE N AT-A-TIME [framed]");
    long n = atol(words[3]), at_a_time = atol(words[4]), asked = 0;
    if (at_a_time < 1 || at_a_time > most_connections || n < at_a_time) die("AT-A-TIME");
    framed = count > 5;
    server.sin_port = htons(atoi(words[1]));
    server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    poll_fd = epoll_create1(0);
    read_questions(words[2]);
    while (asked < at_a_time) { ask(&connections[asked], asked); asked++; }
    for (long done = 0; done < n;) {
        struct epoll_event events[64];
        int ready = epoll_wait(poll_fd, events, 64, 10000);
        if (ready <= 0) die("waiting");
        for (int i = 0; i < ready; i++) {
            struct connection *c = events[i].data.ptr;
            if (!advance(c)) continue;
            finish(c);
            done++;
            if (asked < n) ask(c, asked++);
        }
    }
    return 0;
}
