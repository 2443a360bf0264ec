/* The floor of the HTTP benchmark: the least that a server on libuv and llhttp can do, on one thread.

   It parses each request with llhttp and answers with one fixed response whose body has the given number of bytes, in one
   write for each batch of pipelined requests. No limits, no time-outs, no routing: what Anneal's server adds is measured
   against this.

   Build:  cc -O2 -DLLHTTP_STRICT_MODE=1 -I/usr/share/include/llhttp -o floor floor.c \
               /usr/share/llhttp/api.c /usr/share/llhttp/http.c /usr/share/llhttp/llhttp.c -luv
   Run:    floor PORT BODY_BYTES      (prints the port and serves until killed) */

#include <llhttp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

typedef struct {
    uv_tcp_t tcp;
    llhttp_t parser;
    int requests; /* completed within the bytes being parsed */
} connection_t;

static llhttp_settings_t settings;
static char input[65536];
static char *response;
static size_t response_bytes;

static void freed(uv_handle_t *handle) { free(handle); }

static void close_connection(connection_t *connection) {
    if (!uv_is_closing((uv_handle_t *)connection)) uv_close((uv_handle_t *)connection, freed);
}

static int message_complete(llhttp_t *parser) {
    ((connection_t *)parser->data)->requests++;
    return 0;
}

/* The parser must do the work of a server that looks at targets and fields. */
static int ignore_span(llhttp_t *parser, const char *at, size_t length) {
    (void)parser, (void)at, (void)length;
    return 0;
}

static void allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer) {
    (void)handle, (void)suggested;
    *buffer = uv_buf_init(input, sizeof input);
}

static void written(uv_write_t *request, int status) {
    if (status < 0) close_connection(request->data);
    free(request);
}

static void answer(connection_t *connection) {
    while (connection->requests > 0) {
        uv_buf_t buffers[64];
        int count = connection->requests < 64 ? connection->requests : 64;
        for (int i = 0; i < count; i++) buffers[i] = uv_buf_init(response, response_bytes);
        connection->requests -= count;
        int sent = uv_try_write((uv_stream_t *)connection, buffers, count);
        if (sent == (int)(response_bytes * count)) continue;
        if (sent < 0 && sent != UV_EAGAIN) return close_connection(connection);
        size_t rest = sent < 0 ? 0 : sent;
        int first = rest / response_bytes;
        buffers[first].base += rest % response_bytes;
        buffers[first].len -= rest % response_bytes;
        uv_write_t *request = malloc(sizeof *request);
        request->data = connection;
        uv_write(request, (uv_stream_t *)connection, buffers + first, count - first, written);
    }
}

static void did_read(uv_stream_t *stream, ssize_t bytes, const uv_buf_t *buffer) {
    connection_t *connection = (connection_t *)stream;
    if (bytes < 0) return close_connection(connection);
    if (llhttp_execute(&connection->parser, buffer->base, bytes) != HPE_OK) return close_connection(connection);
    answer(connection);
}

static void did_connect(uv_stream_t *server, int status) {
    if (status < 0) return;
    connection_t *connection = malloc(sizeof *connection);
    uv_tcp_init(server->loop, &connection->tcp);
    connection->requests = 0;
    if (uv_accept(server, (uv_stream_t *)connection) < 0) return close_connection(connection);
    uv_tcp_nodelay(&connection->tcp, 1);
    llhttp_init(&connection->parser, HTTP_REQUEST, &settings);
    connection->parser.data = connection;
    uv_read_start((uv_stream_t *)connection, allocate, did_read);
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: floor PORT BODY_BYTES\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    size_t body_bytes = strtoul(argv[2], NULL, 10);
    response = malloc(body_bytes + 256);
    response_bytes = sprintf(response,
                             "HTTP/1.1 200 OK\r\nDate: Fri, 20 Nov 2026 08:15:30 GMT\r\nContent-Type: application/json\r\n"
                             "Content-Length: %zu\r\n\r\n",
                             body_bytes);
    memset(response + response_bytes, 'x', body_bytes);
    response_bytes += body_bytes;

    llhttp_settings_init(&settings);
    settings.on_url = ignore_span;
    settings.on_header_field = ignore_span;
    settings.on_header_value = ignore_span;
    settings.on_message_complete = message_complete;

    struct sockaddr_in address;
    uv_tcp_t server;
    uv_loop_t *loop = uv_default_loop();
    uv_tcp_init(loop, &server);
    uv_ip4_addr("127.0.0.1", atoi(argv[1]), &address);
    int status = uv_tcp_bind(&server, (const struct sockaddr *)&address, 0);
    if (status == 0) status = uv_listen((uv_stream_t *)&server, 1024, did_connect);
    if (status < 0) {
        fprintf(stderr, "floor: %s\n", uv_strerror(status));
        return 1;
    }
    int length = sizeof address;
    uv_tcp_getsockname(&server, (struct sockaddr *)&address, &length);
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    return uv_run(loop, UV_RUN_DEFAULT);
}
