#include "image/meta.h"

#include <stdbool.h>
#include <string.h>

static bool
is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static int
check_name(const char *what, const char *name, size_t len, const char *extra, struct err *e)
{
	if (len == 0)
		return err_new(e, ERR_INPUT, "%s: is empty", what);
	if (len >= META_NAME)
		return err_new(e, ERR_INPUT, "%s: longer than %d characters", what, META_NAME - 1);
	for (size_t i = 0; i < len; i++)
		if (!is_alnum(name[i]) &&
		    (i == 0 || strchr(extra, name[i]) == NULL || name[i] == '\0'))
			return err_new(e, ERR_INPUT,
			    "%s \"%.*s\": must start with a letter or digit and hold only letters, "
			    "digits and \"%s\"",
			    what, (int)len, name, extra);
	return 0;
}

int
name_check_pot(const char *what, const char *name, struct err *e)
{
	if (check_name(what, name, strlen(name), "_-", e) < 0)
		return -1;
	if (strspn(name, "0123456789") == strlen(name))
		return err_new(e, ERR_INPUT, "%s \"%s\": must not be a number", what, name);
	return 0;
}

int
name_check_tag(const char *what, const char *tag, struct err *e)
{
	return check_name(what, tag, strlen(tag), "._-+", e);
}

static int
take_part(const char *what, const char *from, const char *to, const char *extra,
    char out[META_NAME], struct err *e)
{
	size_t len = (size_t)(to - from);

	if (check_name(what, from, len, extra, e) < 0)
		return -1;
	memcpy(out, from, len);
	out[len] = '\0';
	return 0;
}

/* pot's own line, without newline. */
static int
take_origin(const char *data, size_t len, struct meta *m, struct err *e)
{
	if (len == 0 || (len == 1 && data[0] == '-'))
		return 0;
	const char *end = data + len, *at = memchr(data, '@', len), *colon = memchr(data, ':', len);
	if (colon == NULL || at == NULL || colon > at)
		return err_new(e, ERR_INPUT,
		    "meta file: its first line must be \"-\" or <pot>:<tag>@<snapshot>");
	if (take_part("meta file: pot", data, colon, "_-.", m->origin, e) < 0 ||
	    take_part("meta file: tag", colon + 1, at, "._-+", m->tag, e) < 0)
		return -1;
	return take_part("meta file: snapshot", at + 1, end, "._-+:", m->snapshot, e);
}

static int
take_note(const char *line, size_t len, struct meta *m, struct err *e)
{
	char format[META_NAME] = "";
	const struct {
		const char *key;
		char *out;
	} notes[] = { { "format", format }, { "snapshot", m->own_snapshot }, { "os", m->os },
		{ "arch", m->arch } };
	const char *equals = memchr(line, '=', len), *end = line + len;

	if (equals == NULL)
		return err_new(e, ERR_INPUT, "meta file: lines after the first must be key=value");
	for (size_t i = 0; i < sizeof(notes) / sizeof(notes[0]); i++)
		if (strlen(notes[i].key) == (size_t)(equals - line) &&
		    memcmp(notes[i].key, line, (size_t)(equals - line)) == 0 &&
		    take_part("meta file", equals + 1, end, "._-+", notes[i].out, e) < 0)
			return -1;
	if (strcmp(format, "pax") == 0)
		m->format = META_PAX;
	else if (strcmp(format, "zfs") == 0)
		m->format = META_ZFS;
	else if (format[0] != '\0')
		return err_new(e, ERR_UNSUPPORTED,
		    "meta file: the image is of format \"%s\", which this release does not know",
		    format);
	return 0;
}

int
image_meta_parse(const char *data, size_t len, struct meta *out, struct err *e)
{
	struct meta m = { .origin = "" };

	if (len > META_FILE_MAX)
		return err_new(e, ERR_INPUT, "meta file: longer than %d bytes", META_FILE_MAX);
	if (len > 0 && memchr(data, '\0', len) != NULL)
		return err_new(e, ERR_INPUT, "meta file: is binary");
	for (size_t at = 0, n = 0; at < len; n++) {
		const char *newline = memchr(data + at, '\n', len - at);
		size_t end = newline != NULL ? (size_t)(newline - data) : len;

		if ((n == 0 ? take_origin(data + at, end - at, &m, e)
			    : take_note(data + at, end - at, &m, e)) < 0)
			return -1;
		at = end + 1;
	}
	*out = m;
	return 0;
}

void
image_meta_text(const struct meta *m, struct buf *out)
{
	if (m->origin[0] != '\0')
		buf_addf(out, "%s:%s@%s\n", m->origin, m->tag, m->snapshot);
	else
		buf_adds(out, "-\n");
	if (m->format != META_UNKNOWN)
		buf_addf(out, "format=%s\n", m->format == META_PAX ? "pax" : "zfs");
	if (m->own_snapshot[0] != '\0')
		buf_addf(out, "snapshot=%s\n", m->own_snapshot);
	if (m->os[0] != '\0')
		buf_addf(out, "os=%s\n", m->os);
	if (m->arch[0] != '\0')
		buf_addf(out, "arch=%s\n", m->arch);
}

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int
digest_parse(const char *data, size_t len, uint8_t out[SKEIN_DIGEST], struct err *e)
{
	uint8_t digest[SKEIN_DIGEST];

	if (len > 0 && data[len - 1] == '\n')
		len--;
	if (len != 2 * SKEIN_DIGEST)
		return err_new(e, ERR_INPUT, "skein file: must hold %d hex digits and a newline",
		    2 * SKEIN_DIGEST);
	for (size_t i = 0; i < SKEIN_DIGEST; i++) {
		int high = hex_value(data[2 * i]), low = hex_value(data[2 * i + 1]);

		if (high < 0 || low < 0)
			return err_new(
			    e, ERR_INPUT, "skein file: byte %zu is not a hex digit", 2 * i);
		digest[i] = (uint8_t)(high << 4 | low);
	}
	memcpy(out, digest, sizeof(digest));
	return 0;
}
