#include "io/http1.h"

#include "base/str.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

enum { CHUNK_OVERHEAD = 16384 }; /* bytes of extensions and trailers between data */

static bool
is_token_char(unsigned char c)
{
	return isalnum(c) || (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static bool
is_token(const char *s)
{
	if (*s == '\0')
		return false;
	for (; *s != '\0'; s++)
		if (!is_token_char((unsigned char)*s))
			return false;
	return true;
}

const char *
http1_header(const struct http_headers *h, const char *name)
{
	for (size_t i = 0; i < h->n; i++)
		if (strcasecmp(h->at[i].name, name) == 0)
			return h->at[i].value;
	return NULL;
}

bool
http1_has_word(const char *list, const char *word)
{
	size_t len = strlen(word);

	for (const char *p = list; p != NULL && *p != '\0';) {
		p += strspn(p, " \t,");
		size_t n = strcspn(p, " \t,;");
		if (n == len && strncasecmp(p, word, n) == 0)
			return true;
		p += strcspn(p, ",");
	}
	return false;
}

/* Cuts the next line (without CRLF) out of *p; NULL: malformed. */
static char *
next_line(char **p, char *end)
{
	char *line = *p, *cr = memchr(line, '\r', (size_t)(end - line));

	if (cr == NULL || cr + 1 >= end || cr[1] != '\n')
		return NULL;
	if (memchr(line, '\n', (size_t)(cr - line)) != NULL ||
	    memchr(line, '\0', (size_t)(cr - line)) != NULL)
		return NULL;
	*cr = '\0';
	*p = cr + 2;
	return line;
}

static int
parse_field(char *line, struct http_field *out, struct err *e)
{
	char *colon = strchr(line, ':');

	if (colon == NULL)
		return err_new(e, ERR_INPUT, "header line without a colon");
	*colon = '\0';
	if (!is_token(line))
		return err_new(e, ERR_INPUT, "malformed header name");
	char *value = colon + 1;
	value += strspn(value, " \t");
	for (size_t n = strlen(value); n > 0 && (value[n - 1] == ' ' || value[n - 1] == '\t'); n--)
		value[n - 1] = '\0';
	for (const char *p = value; *p != '\0'; p++)
		if (((unsigned char)*p < ' ' && *p != '\t') || *p == 0x7f)
			return err_new(e, ERR_INPUT, "control character in header %s", line);
	*out = (struct http_field){ .name = line, .value = value };
	return 0;
}

static int
parse_fields(char *p, char *end, struct arena *a, struct http_headers *out, struct err *e)
{
	struct http_field at[HTTP1_FIELDS];
	size_t n = 0;

	for (;;) {
		char *line = next_line(&p, end);
		if (line == NULL)
			return err_new(e, ERR_INPUT, "malformed header line");
		if (*line == '\0')
			break;
		if (*line == ' ' || *line == '\t')
			return err_new(e, ERR_INPUT, "folded header lines are not accepted");
		if (n == HTTP1_FIELDS)
			return err_new(e, ERR_INPUT, "more than %d header lines", HTTP1_FIELDS);
		if (parse_field(line, &at[n], e) < 0)
			return -1;
		n++;
	}
	out->at = arena_memdup(a, at, n * sizeof(at[0]));
	out->n = n;
	return 0;
}

/* Sets out->body from the headers, with `none` when they say nothing (RFC 9112 6.3). */
static int
body_length(struct http1_head *h, long long none, int *status, struct err *e)
{
	const char *coding = http1_header(&h->headers, "Transfer-Encoding");
	const char *length = NULL;
	uint64_t n;

	h->body = none;
	for (size_t i = 0; i < h->headers.n; i++) {
		if (strcasecmp(h->headers.at[i].name, "Content-Length") != 0)
			continue;
		if (length != NULL && !str_eq(length, h->headers.at[i].value))
			return err_new(e, ERR_INPUT, "two different Content-Length headers");
		length = h->headers.at[i].value;
	}
	if (coding != NULL && length != NULL)
		return err_new(e, ERR_INPUT, "both Content-Length and Transfer-Encoding");
	if (coding != NULL) {
		if (strcasecmp(coding, "chunked") != 0) {
			*status = 501;
			return err_new(e, ERR_UNSUPPORTED, "transfer coding other than chunked");
		}
		if (h->minor == 0)
			return err_new(e, ERR_INPUT, "Transfer-Encoding in HTTP/1.0");
		h->body = HTTP1_CHUNKED;
	} else if (length != NULL) {
		if (!str_u64(length, INT64_MAX, &n))
			return err_new(e, ERR_INPUT, "malformed Content-Length");
		h->body = (long long)n;
	}
	return 0;
}

static void
connection_options(struct http1_head *h)
{
	const char *connection = http1_header(&h->headers, "Connection");

	h->keep_alive = h->minor >= 1 ? !http1_has_word(connection, "close")
				      : http1_has_word(connection, "keep-alive");
	h->expect_continue =
	    h->minor >= 1 && http1_has_word(http1_header(&h->headers, "Expect"), "100-continue");
}

static int
parse_version(const char *text, int *minor)
{
	if (strncmp(text, "HTTP/1.", 7) != 0 || !isdigit((unsigned char)text[7]) || text[8] != '\0')
		return -1;
	*minor = text[7] - '0';
	return 0;
}

static int
request_line(char *line, struct http1_head *h, int *status, struct err *e)
{
	char *target = strchr(line, ' ');
	char *version = target != NULL ? strchr(target + 1, ' ') : NULL;

	if (version == NULL)
		return err_new(e, ERR_INPUT, "malformed request line");
	*target++ = '\0';
	*version++ = '\0';
	if (!is_token(line) || *target == '\0')
		return err_new(e, ERR_INPUT, "malformed request line");
	for (const char *p = target; *p != '\0'; p++)
		if ((unsigned char)*p <= ' ' || *p == 0x7f)
			return err_new(e, ERR_INPUT, "control character in the request line");
	if (parse_version(version, &h->minor) < 0) {
		if (strncmp(version, "HTTP/", 5) == 0)
			*status = 505;
		return err_new(e, ERR_INPUT, "not HTTP/1.0 or HTTP/1.1");
	}
	h->method = line;
	h->target = target;
	return 0;
}

int
http1_request(const char *text, size_t len, struct arena *a, struct http1_head *out, int *status,
    struct err *e)
{
	struct http1_head h = { .method = NULL };
	char *copy = arena_memdup(a, text, len), *p = copy, *end = copy + len;
	char *line = next_line(&p, end);

	*status = 400;
	if (line == NULL)
		return err_new(e, ERR_INPUT, "malformed request line");
	if (request_line(line, &h, status, e) < 0 || parse_fields(p, end, a, &h.headers, e) < 0 ||
	    body_length(&h, 0, status, e) < 0)
		return -1;
	if (h.minor >= 1 && http1_header(&h.headers, "Host") == NULL)
		return err_new(e, ERR_INPUT, "no Host header");
	if (h.target[0] != '/' &&
	    strcmp(h.target, "*") != 0) { /* absolute form: for proxies, but allowed */
		const char *path =
		    strncasecmp(h.target, "http://", 7) == 0 ? strchr(h.target + 7, '/') : NULL;
		if (path == NULL)
			return err_new(e, ERR_INPUT, "the request target must begin with /");
		h.target = path;
	}
	connection_options(&h);
	*out = h;
	return 0;
}

int
http1_response(const char *text, size_t len, struct arena *a, struct http1_head *out, struct err *e)
{
	struct http1_head h = { .method = NULL };
	char *copy = arena_memdup(a, text, len), *p = copy, *end = copy + len;
	char *line = next_line(&p, end), version[9];
	uint64_t status;
	int unused;

	if (line == NULL || strlen(line) < 12 || line[8] != ' ' ||
	    (line[12] != ' ' && line[12] != '\0'))
		return err_new(e, ERR_REMOTE, "the answer is not HTTP");
	memcpy(version, line, 8);
	version[8] = '\0';
	line[12] = '\0';
	if (parse_version(version, &h.minor) < 0 || !str_u64(line + 9, 999, &status) ||
	    status < 100)
		return err_new(e, ERR_REMOTE, "the answer is not HTTP/1");
	h.status = (int)status;
	if (parse_fields(p, end, a, &h.headers, e) < 0 ||
	    body_length(&h, HTTP1_TO_CLOSE, &unused, e) < 0)
		return -1;
	if (h.status < 200 || h.status == 204 || h.status == 304)
		h.body = 0;
	connection_options(&h);
	*out = h;
	return 0;
}

/* Chunked bodies ----------------------------------------------------------------------------- */

enum {
	SIZE,
	EXTENSION,
	SIZE_LF,
	DATA,
	DATA_CR,
	DATA_LF,
	TRAILER,
	TRAILER_LINE,
	TRAILER_LF,
	LAST_LF,
	DONE
};

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* One byte outside the data; false: malformed. */
static bool
chunk_step(struct http1_chunks *c, char ch)
{
	int digit;

	switch (c->state) {
	case SIZE:
		if ((digit = hex_digit(ch)) >= 0) {
			if (++c->digits > 15)
				return false;
			c->left = c->left * 16 + (uint64_t)digit;
			return true;
		}
		if (c->digits == 0)
			return false;
		c->state = ch == '\r' ? SIZE_LF : EXTENSION;
		return ch == '\r' || ch == ';' || ch == ' ' || ch == '\t';
	case EXTENSION:
		if (ch == '\r')
			c->state = SIZE_LF;
		return ch != '\n';
	case SIZE_LF:
		c->state = c->left > 0 ? DATA : TRAILER;
		return ch == '\n';
	case DATA_CR:
		c->state = DATA_LF;
		return ch == '\r';
	case DATA_LF:
		c->state = SIZE;
		c->digits = 0;
		return ch == '\n';
	case TRAILER:
		c->state = ch == '\r' ? LAST_LF : TRAILER_LINE;
		return ch != '\n';
	case TRAILER_LINE:
		if (ch == '\r')
			c->state = TRAILER_LF;
		return ch != '\n';
	case TRAILER_LF:
		c->state = TRAILER;
		return ch == '\n';
	case LAST_LF:
		c->state = DONE;
		return ch == '\n';
	default:
		return false;
	}
}

enum http1_chunk
http1_chunk(
    struct http1_chunks *c, const char *in, size_t len, size_t *used, const char **data, size_t *n)
{
	for (size_t i = 0; i < len; i++) {
		if (c->state == DATA) {
			*n = len - i < c->left ? len - i : (size_t)c->left;
			*data = in + i;
			*used = i + *n;
			c->left -= *n;
			c->spent = 0;
			if (c->left == 0)
				c->state = DATA_CR;
			return HTTP1_DATA;
		}
		if (++c->spent > CHUNK_OVERHEAD || !chunk_step(c, in[i])) {
			*used = i;
			return HTTP1_BAD;
		}
		if (c->state == DONE) {
			*used = i + 1;
			return HTTP1_END;
		}
	}
	*used = len;
	return HTTP1_MORE;
}
