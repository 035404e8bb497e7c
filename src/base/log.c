#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

static enum log_level current = LOG_INFO_;
static int log_fd = STDERR_FILENO;
static log_hook *hook_fn;
static void *hook_ctx;

static const char *const level_names[] = { "TRACE", "DEBUG", "INFO", "WARN", "ERROR" };

void
log_set_level(enum log_level level)
{
	current = level;
}

enum log_level
log_get_level(void)
{
	return current;
}

bool
log_level_named(const char *name, enum log_level *level)
{
	if (strcasecmp(name, "err") == 0)
		name = "ERROR";
	for (unsigned i = 0; i < NELEM(level_names); i++)
		if (strcasecmp(name, level_names[i]) == 0) {
			*level = (enum log_level)i;
			return true;
		}
	return false;
}

void
log_set_fd(int fd)
{
	log_fd = fd;
}

void
log_set_hook(log_hook *hook, void *ctx)
{
	hook_fn = hook;
	hook_ctx = ctx;
}

static size_t
prefix(char *line, size_t size, enum log_level level, const char *component)
{
	struct timespec now;
	struct tm tm;
	char stamp[32];

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &tm);
	int n = snprintf(line, size, "%s.%03ldZ [%s] %s: ", stamp, now.tv_nsec / 1000000,
	    level_names[level], component);
	return n < 0 ? 0 : (size_t)n;
}

void
log_line(enum log_level level, const char *component, const char *fmt, ...)
{
	char line[2048], text[1700];
	va_list ap;

	if (level < current && hook_fn == NULL)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	size_t n = prefix(line, sizeof(line) - 8, level, component);
	for (const char *p = text; *p != '\0' && n < sizeof(line) - 8; p++) {
		unsigned char c = (unsigned char)*p;
		if (c < 0x20 || c == 0x7f)
			n += (size_t)snprintf(line + n, 5, "\\x%02x", c);
		else
			line[n++] = (char)c;
	}
	line[n++] = '\n';
	if (level >= current)
		(void)!write(log_fd, line, n);
	if (hook_fn != NULL)
		hook_fn(hook_ctx, level, line, n);
}
