#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const kind_names[ERR_KINDS] = {
	[ERR_NONE] = "none",
	[ERR_INPUT] = "input",
	[ERR_ABSENT] = "absent",
	[ERR_EXISTS] = "exists",
	[ERR_BUSY] = "busy",
	[ERR_RIGHTS] = "rights",
	[ERR_UNSUPPORTED] = "unsupported",
	[ERR_FULL] = "full",
	[ERR_REMOTE] = "remote",
	[ERR_TIMEOUT] = "timeout",
	[ERR_CORRUPT] = "corrupt",
	[ERR_SYS] = "sys",
};

enum err_kind
err_kind_of_errno(int sys)
{
	switch (sys) {
	case ENOENT:
	case ESRCH:
	case ENODEV:
	case ENXIO:
		return ERR_ABSENT;
	case EEXIST:
		return ERR_EXISTS;
	case EBUSY:
	case EAGAIN:
	case ETXTBSY:
	case EADDRINUSE:
		return ERR_BUSY;
	case EPERM:
	case EACCES:
	case EROFS:
		return ERR_RIGHTS;
	case ENOSYS:
	case EOPNOTSUPP:
	case EPROTONOSUPPORT:
	case EAFNOSUPPORT:
		return ERR_UNSUPPORTED;
	case ENOSPC:
	case EDQUOT:
	case ENOMEM:
	case EMFILE:
	case ENFILE:
		return ERR_FULL;
	case ECONNREFUSED:
	case ECONNRESET:
	case EPIPE:
	case EHOSTUNREACH:
	case ENETUNREACH:
		return ERR_REMOTE;
	case ETIMEDOUT:
		return ERR_TIMEOUT;
	default:
		return ERR_SYS;
	}
}

int
err_new(struct err *e, enum err_kind kind, const char *fmt, ...)
{
	va_list ap;
	char text[sizeof(e->text)];

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	e->kind = kind;
	e->sys = 0;
	memcpy(e->text, text, sizeof(text));
	return -1;
}

int
err_sys(struct err *e, const char *fmt, ...)
{
	int sys = errno;
	va_list ap;
	char text[sizeof(e->text)];

	va_start(ap, fmt);
	int n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n >= 0 && (size_t)n < sizeof(text))
		snprintf(text + n, sizeof(text) - (size_t)n, ": %s", strerror(sys));
	e->kind = err_kind_of_errno(sys);
	e->sys = sys;
	memcpy(e->text, text, sizeof(text));
	return -1;
}

int
err_ctx(struct err *e, const char *fmt, ...)
{
	va_list ap;
	char text[sizeof(e->text)];

	va_start(ap, fmt);
	int n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n >= 0 && (size_t)n < sizeof(text))
		snprintf(text + n, sizeof(text) - (size_t)n, ": %s", e->text);
	memcpy(e->text, text, sizeof(text));
	return -1;
}

const char *
err_kind_name(enum err_kind kind)
{
	return (unsigned)kind < ERR_KINDS ? kind_names[kind] : "sys";
}

enum err_kind
err_kind_named(const char *name)
{
	for (unsigned i = 0; i < ERR_KINDS; i++)
		if (strcmp(kind_names[i], name) == 0)
			return (enum err_kind)i;
	return ERR_SYS;
}
