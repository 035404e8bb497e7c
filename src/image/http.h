/*
 * http.h: how this program speaks HTTP: options and errors that all its requests share.
 */
#ifndef IMAGE_HTTP_H
#define IMAGE_HTTP_H

#include "base/err.h"

#include <curl/curl.h>

void http_options(CURL *c, const char *url);
/* Why a request failed; `detail` is libcurl's error buffer. */
int http_explain(CURLcode code, const char *url, const char *detail, struct err *e);
/* A status from 300 up. */
int http_explain_status(long status, const char *url, struct err *e);

#endif
