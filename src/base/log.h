/*
 * log.h: lines for the operator.
 *
 * A line is "<RFC 3339, ms> [LEVEL] component: sentence: key=value …", as Nomad's agents write it.
 * error: somebody must act; warn: went on without; info: a state changed; debug: the rest.
 * One sink per process; several may be added (a `monitor` stream is one). Not for library folders
 * below supervise: those return errors.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/own.h"

#include <stdbool.h>
#include <stddef.h>

enum log_level { LOG_TRACE_, LOG_DEBUG_, LOG_INFO_, LOG_WARN_, LOG_ERROR_ };

void log_set_level(enum log_level level);
enum log_level log_get_level(void);
bool log_level_named(const char *name, enum log_level *level); /* any case; false: unknown */
void log_set_fd(int fd);				       /* default: standard error */
/* The hook sees every line, also those below the level, with its newline. */
typedef void log_hook(void *ctx, enum log_level level, const char *line, size_t len);
void log_set_hook(log_hook *hook, void *ctx);

/* Control characters in the text are escaped, so that no input can forge a line. */
void log_line(enum log_level level, const char *component, const char *fmt, ...) PRINTFLIKE(3, 4);

#define log_error(component, ...) log_line(LOG_ERROR_, component, __VA_ARGS__)
#define log_warn(component, ...)  log_line(LOG_WARN_, component, __VA_ARGS__)
#define log_info(component, ...)  log_line(LOG_INFO_, component, __VA_ARGS__)
#define log_debug(component, ...) log_line(LOG_DEBUG_, component, __VA_ARGS__)

#endif
