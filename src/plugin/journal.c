#include "plugin/plugin.h"

#include "base/log.h"
#include "codec/json.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/*
 * Log lines: a JSON object each, written at once. The three keys with @ are always strings and the
 * time always has six digits: Nomad's agent ends in a panic, or shows the raw line, where they are
 * not.
 */

enum { LINE_MAX_LEN = 32768 };

static void
stamp(char out[40])
{
	struct timespec now;
	struct tm tm;
	char whole[24];

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	strftime(whole, sizeof(whole), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(out, 40, "%s.%06ldZ", whole, now.tv_nsec / 1000);
}

void
journal_line(struct buf *out, const char *level, const char *module, const char *text)
{
	struct jsonw w = JSONW_INIT(out);
	size_t len = strlen(text);
	char at[40];

	stamp(at);
	jsonw_object(&w);
	jsonw_kstr(&w, "@level", level);
	jsonw_key(&w, "@message");
	jsonw_strn(&w, text, len < LINE_MAX_LEN / 6 ? len : LINE_MAX_LEN / 6);
	jsonw_kstr(&w, "@module", module);
	jsonw_kstr(&w, "@timestamp", at);
	jsonw_end_object(&w);
	buf_addc(out, '\n');
}

/* "<time> [LEVEL] component: text\n" of base/log.h. */
static void
on_line(void *ctx, enum log_level level, const char *line, size_t len)
{
	static const char *const levels[] = { "trace", "debug", "info", "warn", "error" };
	autobuf struct buf out = BUF_INIT, text = BUF_INIT, module = BUF_INIT;

	(void)ctx;
	while (len > 0 && line[len - 1] == '\n')
		len--;
	buf_add(&text, line, len);
	const char *rest = strstr(buf_str(&text), "] ");
	rest = rest != NULL ? rest + 2 : buf_str(&text);
	const char *colon = strstr(rest, ": ");
	buf_adds(&module, "pot.");
	if (colon != NULL)
		buf_add(&module, rest, (size_t)(colon - rest));
	journal_line(&out, levels[level], colon != NULL ? buf_str(&module) : "pot",
	    colon != NULL ? colon + 2 : rest);
	(void)!write(STDERR_FILENO, out.data, out.len);
}

void
journal_open(void)
{
	log_set_fd(-1); /* lines go out by the hook alone */
	log_set_hook(on_line, NULL);
}
