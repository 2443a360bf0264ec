/* A fast stand-in for a model server, to measure what drives one: libuv and llhttp, one thread.

   Each request is answered after the given delay with one fixed chat completion of so many tokens, whatever it asks; so many requests as
   come wait at the same time. GET is answered at once with an empty list of models.

   Build:  cc -O2 -DLLHTTP_STRICT_MODE=1 -I/usr/share/include/llhttp -o completions completions.c \
               /usr/share/llhttp/api.c /usr/share/llhttp/http.c /usr/share/llhttp/llhttp.c -luv
   Run:    completions DELAY_MS TOKENS      (prints the port and serves until killed) */

#include <llhttp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include <uv.h>

typedef struct connection {
    uv_tcp_t tcp;
    llhttp_t parser;
    uint64_t due; /* when the answer goes out; 0 where nothing was asked */
    struct connection *next;
    int closing;
} connection_t;

static llhttp_settings_t settings;
static char input[65536];
static char *completion, *models;
static size_t completion_bytes, models_bytes;
static uint64_t delay_ns;
/* The loop's own timers count whole milliseconds, which is a twentieth of the delay. */
static int timer;
static uv_poll_t timer_watch;
/* All delays are equal, so that requests are answered in the order in which they came. */
static connection_t *first, *last;

static void closed(uv_handle_t *handle) {
    connection_t *connection = (connection_t *)handle;
    connection->closing = 2;
    if (connection->due == 0) free(connection);
}

static void close_connection(connection_t *connection) {
    if (uv_is_closing((uv_handle_t *)connection)) return;
    connection->closing = 1;
    uv_close((uv_handle_t *)connection, closed);
}

static void written(uv_write_t *request, int status) {
    (void)status;
    free(request);
}

static void send_bytes(connection_t *connection, char *bytes, size_t count) {
    uv_buf_t buffer = uv_buf_init(bytes, count);
    int sent = uv_try_write((uv_stream_t *)connection, &buffer, 1);
    if (sent == (int)count) return;
    if (sent < 0 && sent != UV_EAGAIN) return close_connection(connection);
    if (sent > 0) buffer = uv_buf_init(bytes + sent, count - sent);
    uv_write(malloc(sizeof(uv_write_t)), (uv_stream_t *)connection, &buffer, 1, written);
}

static void arm(void);

static void answer_due(uv_poll_t *handle, int status, int events) {
    (void)handle, (void)status, (void)events;
    uint64_t expirations;
    if (read(timer, &expirations, sizeof expirations) < 0) return;
    uint64_t now = uv_hrtime();
    while (first && first->due <= now) {
        connection_t *connection = first;
        first = connection->next;
        if (!first) last = NULL;
        connection->due = 0;
        if (connection->closing == 2) {
            free(connection);
        } else if (!connection->closing) {
            send_bytes(connection, completion, completion_bytes);
        }
    }
    arm();
}

static void arm(void) {
    if (!first) return;
    struct itimerspec when = {.it_value = {.tv_sec = first->due / 1000000000, .tv_nsec = first->due % 1000000000}};
    timerfd_settime(timer, TFD_TIMER_ABSTIME, &when, NULL);
}

static int message_complete(llhttp_t *parser) {
    connection_t *connection = parser->data;
    if (parser->method == HTTP_GET) {
        send_bytes(connection, models, models_bytes);
        return 0;
    }
    if (connection->due) return -1; /* no pipelining */
    connection->due = uv_hrtime() + delay_ns;
    connection->next = NULL;
    if (last) last->next = connection;
    last = connection;
    if (!first) {
        first = connection;
        arm();
    }
    return 0;
}

static void allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer) {
    (void)handle, (void)suggested;
    *buffer = uv_buf_init(input, sizeof input);
}

static void did_read(uv_stream_t *stream, ssize_t bytes, const uv_buf_t *buffer) {
    connection_t *connection = (connection_t *)stream;
    if (bytes < 0) return close_connection(connection);
    if (llhttp_execute(&connection->parser, buffer->base, bytes) != HPE_OK) close_connection(connection);
}

static void did_connect(uv_stream_t *server, int status) {
    if (status < 0) return;
    connection_t *connection = calloc(1, sizeof *connection);
    uv_tcp_init(server->loop, &connection->tcp);
    if (uv_accept(server, (uv_stream_t *)connection) < 0) return close_connection(connection);
    uv_tcp_nodelay(&connection->tcp, 1);
    llhttp_init(&connection->parser, HTTP_REQUEST, &settings);
    connection->parser.data = connection;
    uv_read_start((uv_stream_t *)connection, allocate, did_read);
}

static char *response(const char *body, size_t *bytes) {
    char *text = malloc(strlen(body) + 256);
    *bytes = sprintf(text, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s", strlen(body), body);
    return text;
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: completions DELAY_MS TOKENS\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    delay_ns = strtod(argv[1], NULL) * 1e6;
    size_t tokens = strtoul(argv[2], NULL, 10);
    char *body = malloc(tokens * 5 + 1024);
    size_t used = sprintf(body, "{\"id\": \"cmpl-1\", \"object\": \"chat.completion\", \"created\": 1, \"model\": \"mock\", \"choices\": "
                                "[{\"index\": 0, \"finish_reason\": \"stop\", \"message\": {\"role\": \"assistant\", \"content\": \"");
    for (size_t i = 0; i < tokens; i++) used += sprintf(body + used, "word ");
    sprintf(body + used, "\"}}], \"usage\": {\"prompt_tokens\": 5, \"completion_tokens\": %zu, \"total_tokens\": %zu}}", tokens, tokens + 5);
    completion = response(body, &completion_bytes);
    models = response("{\"object\": \"list\", \"data\": [{\"id\": \"mock\", \"object\": \"model\"}]}", &models_bytes);

    llhttp_settings_init(&settings);
    settings.on_message_complete = message_complete;
    struct sockaddr_in address;
    uv_tcp_t server;
    uv_loop_t *loop = uv_default_loop();
    timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    uv_poll_init(loop, &timer_watch, timer);
    uv_poll_start(&timer_watch, UV_READABLE, answer_due);
    uv_tcp_init(loop, &server);
    uv_ip4_addr("127.0.0.1", 0, &address);
    int status = uv_tcp_bind(&server, (const struct sockaddr *)&address, 0);
    if (status == 0) status = uv_listen((uv_stream_t *)&server, 4096, did_connect);
    if (status < 0) {
        fprintf(stderr, "completions: %s\n", uv_strerror(status));
        return 1;
    }
    int length = sizeof address;
    uv_tcp_getsockname(&server, (struct sockaddr *)&address, &length);
    printf("port %d\n", ntohs(address.sin_port));
    fflush(stdout);
    return uv_run(loop, UV_RUN_DEFAULT);
}
