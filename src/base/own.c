#include "base/own.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void
own_free(void *pointer_to_pointer)
{
	void *p;

	memcpy(&p, pointer_to_pointer, sizeof(p));
	free(p);
}

void
own_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

void *
own_take(void *pointer_to_pointer)
{
	void *p, *none = NULL;

	memcpy(&p, pointer_to_pointer, sizeof(p));
	memcpy(pointer_to_pointer, &none, sizeof(none));
	return p;
}

int
own_take_fd(int *fd)
{
	int value = *fd;

	*fd = -1;
	return value;
}

static NORETURN void
out_of_memory(void)
{
	static const char text[] = "out of memory\n";

	(void)!write(STDERR_FILENO, text, sizeof(text) - 1);
	abort();
}

void *
xmalloc(size_t size)
{
	void *p = malloc(size ? size : 1);

	if (p == NULL)
		out_of_memory();
	return p;
}

void *
xcalloc(size_t n, size_t size)
{
	void *p = calloc(n ? n : 1, size ? size : 1);

	if (p == NULL)
		out_of_memory();
	return p;
}

void *
xrealloc(void *old, size_t size)
{
	void *p = realloc(old, size ? size : 1);

	if (p == NULL)
		out_of_memory();
	return p;
}

char *
xstrdup(const char *s)
{
	return xstrndup(s, strlen(s));
}

char *
xstrndup(const char *s, size_t n)
{
	size_t len = strnlen(s, n);
	char *p = xmalloc(len + 1);

	memcpy(p, s, len);
	p[len] = '\0';
	return p;
}

char *
xasprintf(const char *fmt, ...)
{
	va_list ap;
	char *text = NULL;

	va_start(ap, fmt);
	int n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n < 0)
		out_of_memory();
	return text;
}
