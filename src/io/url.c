#include "io/url.h"

#include "base/str.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

void
url_escape(struct buf *b, const char *text)
{
	for (; *text != '\0'; text++) {
		unsigned char c = (unsigned char)*text;
		if (isalnum(c) || strchr("-._~", c) != NULL)
			buf_addc(b, (char)c);
		else
			buf_addf(b, "%%%02X", c);
	}
}

char *
url_escaped(struct arena *a, const char *text)
{
	autobuf struct buf b = BUF_INIT;

	url_escape(&b, text);
	return arena_strdup(a, buf_str(&b));
}

bool
url_unescape(struct arena *a, const char *text, size_t len, bool plus, char **out)
{
	char *to = arena_alloc(a, len + 1), *p = to;

	for (size_t i = 0; i < len; i++) {
		if (text[i] == '+' && plus) {
			*p++ = ' ';
			continue;
		}
		if (text[i] != '%') {
			*p++ = text[i];
			continue;
		}
		if (len - i < 3 || hex_digit(text[i + 1]) < 0 || hex_digit(text[i + 2]) < 0)
			return false;
		char c = (char)(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2]));
		if (c == '\0')
			return false;
		*p++ = c;
		i += 2;
	}
	*p = '\0';
	*out = to;
	return true;
}

void
url_add_host_port(struct buf *b, const char *host, uint16_t port)
{
	bool v6 = strchr(host, ':') != NULL;

	buf_addf(b, v6 ? "[%s]:%u" : "%s:%u", host, port);
}

int
url_host_port(
    const char *text, uint16_t def, struct arena *a, char **host, uint16_t *port, struct err *e)
{
	const char *colon, *end;
	uint64_t number = def;
	struct in6_addr v6;

	if (inet_pton(AF_INET6, text, &v6) ==
	    1) { /* an IPv6 address without brackets has no port */
		*host = arena_strdup(a, text);
		*port = def;
		return 0;
	}
	if (text[0] == '[') {
		end = strchr(text, ']');
		if (end == NULL || (end[1] != '\0' && end[1] != ':'))
			return err_new(e, ERR_INPUT,
			    "address \"%s\": brackets must enclose an IPv6 address", text);
		char *inner = arena_strndup(a, text + 1, (size_t)(end - text - 1));
		if (inet_pton(AF_INET6, inner, &v6) != 1)
			return err_new(
			    e, ERR_INPUT, "address \"%s\": not an IPv6 address in brackets", text);
		*host = inner;
		colon = end[1] == ':' ? end + 1 : NULL;
	} else {
		colon = strchr(text, ':');
		end = colon != NULL ? colon : text + strlen(text);
		if (end == text || strcspn(text, " \t\r\n/?#@") < (size_t)(end - text))
			return err_new(
			    e, ERR_INPUT, "address \"%s\": not a host name or address", text);
		*host = arena_strndup(a, text, (size_t)(end - text));
	}
	if (colon != NULL && (!str_u64(colon + 1, 65535, &number)))
		return err_new(e, ERR_INPUT,
		    "address \"%s\": the port must be a number from 0 to 65535", text);
	*port = (uint16_t)number;
	return 0;
}

static int
parse_authority(struct url *out, const char *rest, const char *text, struct arena *a, struct err *e)
{
	size_t n = strcspn(rest, "/?#");
	char *authority = arena_strndup(a, rest, n), *host = NULL;

	if (strchr(authority, '@') != NULL)
		return err_new(
		    e, ERR_INPUT, "URL \"%s\": user names in URLs are not supported", text);
	if (url_host_port(authority, out->port, a, &host, &out->port, e) < 0)
		return err_ctx(e, "URL \"%s\"", text);
	out->host = host;
	rest += n;
	n = strcspn(rest, "?#");
	out->path = n > 0 ? arena_strndup(a, rest, n) : "/";
	rest += n;
	if (*rest == '?')
		out->query = arena_strndup(a, rest + 1, strcspn(rest + 1, "#"));
	return 0;
}

int
url_parse(const char *text, struct arena *a, struct url *out, struct err *e)
{
	struct url u = { .query = "", .path = "/" };
	const char *rest;

	for (const char *p = text; *p != '\0'; p++)
		if ((unsigned char)*p <= ' ' || *p == 0x7f)
			return err_new(e, ERR_INPUT,
			    "URL \"%s\": blanks and control characters must be escaped", text);
	if (str_starts(text, "unix://")) {
		u.scheme = "unix";
		u.host = arena_strdup(a, text + 7);
		if (u.host[0] != '/')
			return err_new(e, ERR_INPUT,
			    "URL \"%s\": unix:// needs the absolute path of a socket", text);
		*out = u;
		return 0;
	}
	if (str_starts(text, "http://")) {
		u.scheme = "http";
		u.port = 80;
		rest = text + 7;
	} else if (str_starts(text, "https://")) {
		u.scheme = "https";
		u.port = 443;
		rest = text + 8;
	} else
		return err_new(
		    e, ERR_INPUT, "URL \"%s\": must begin with http://, https:// or unix://", text);
	if (parse_authority(&u, rest, text, a, e) < 0)
		return -1;
	*out = u;
	return 0;
}
