#ifndef CCURL_PUBLIC_ADDRESS_H
#define CCURL_PUBLIC_ADDRESS_H

#include <arpa/inet.h>
#include <curl/curl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

/* Whether an IPv4 address (host byte order) belongs to somebody on the Internet (IANA IPv4 Special-Purpose Address Registry). */
static inline int ccurl_is_public_v4(uint32_t a) {
    return !((a >> 24) == 0 || (a >> 24) == 10 || (a >> 24) == 127 || (a >> 28) >= 14 || (a >> 22) == (100u << 2 | 1) ||
             (a >> 16) == 0xA9FE || (a >> 20) == 0xAC1 || (a >> 16) == 0xC0A8 || (a >> 8) == 0xC00000 || (a >> 17) == 0x6309);
}

static inline int ccurl_is_public(const struct sockaddr *address) {
    if (address->sa_family == AF_INET)
        return ccurl_is_public_v4(ntohl(((const struct sockaddr_in *)address)->sin_addr.s_addr));
    if (address->sa_family != AF_INET6) return 0;
    const unsigned char *b = ((const struct sockaddr_in6 *)address)->sin6_addr.s6_addr;
    static const unsigned char mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
    static const unsigned char nat64[12] = {0, 0x64, 0xFF, 0x9B};
    if (!memcmp(b, mapped, 12) || !memcmp(b, nat64, 12))
        return ccurl_is_public_v4((uint32_t)b[12] << 24 | (uint32_t)b[13] << 16 | (uint32_t)b[14] << 8 | b[15]);
    /* Only 2000::/3 is given out; unique local, link-local, multicast and loopback lie outside. */
    return (b[0] & 0xE0) == 0x20;
}

/* Called by curl with the address that a name led to, just before it would connect: no second resolution can lead elsewhere. */
static inline curl_socket_t ccurl_open_public(void *user, curlsocktype purpose, struct curl_sockaddr *address) {
    (void)user;
    (void)purpose;
    if (!ccurl_is_public(&address->addr)) return CURL_SOCKET_BAD;
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static inline CURLcode ccurl_refuse_private_addresses(CURL *easy) {
    return (curl_easy_setopt)(easy, CURLOPT_OPENSOCKETFUNCTION, ccurl_open_public);
}

#endif
