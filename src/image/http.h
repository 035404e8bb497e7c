/*
 * http.h: how this program speaks HTTP: options and errors that all its requests share.
 */
#ifndef IMAGE_HTTP_H
#define IMAGE_HTTP_H

#include "base/err.h"

#include <curl/curl.h>
#include <stdbool.h>
#include <stdint.h>

void http_options(CURL *c, const char *url);
/* Why a request failed; `detail` is libcurl's error buffer. */
int http_explain(CURLcode code, const char *url, const char *detail, struct err *e);
/* A status from 300 up. */
int http_explain_status(long status, const char *url, struct err *e);

/* A Content-Range header's value, "bytes 0-1048575/9000000" (RFC 9110 14.4): where the part begins,
 * and how long the whole is, at most HTTP_TOTAL_MAX. A total of "*" is of no use here: false. */
#define HTTP_TOTAL_MAX (1ULL << 40)
bool http_range(const char *value, uint64_t *from, uint64_t *total);

#endif
