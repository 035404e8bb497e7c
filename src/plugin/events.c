#include "plugin/plugin.h"

#include "base/clock.h"
#include "plugin/text.h"

#include <stdarg.h>
#include <stdio.h>

/*
 * Calls that stay open, and what tasks have to tell: each event goes to every listener, and to
 * nobody when there is none.
 */

static void
on_gone(void *ctx)
{
	struct stream *s = ctx;

	s->call = NULL;
	stream_free(s);
}

struct stream *
stream_add(struct stream **list, struct grpc_call *call)
{
	struct stream *s = xcalloc(1, sizeof(*s));

	s->call = call;
	s->next = *list;
	s->self = list;
	if (s->next != NULL)
		s->next->self = &s->next;
	*list = s;
	grpc_on_gone(call, on_gone, s);
	return s;
}

void
stream_free(struct stream *s)
{
	*s->self = s->next;
	if (s->next != NULL)
		s->next->self = s->self;
	if (s->call != NULL)
		grpc_on_gone(s->call, NULL, NULL);
	free(s);
}

enum { BEHIND_MAX = 1 << 20 };

void
event_say(struct plugin *p, const char *task_id, const char *alloc_id, const char *task,
    const char *fmt, ...)
{
	autoarena struct arena mem = ARENA_INIT;
	Np__TaskEvent event = NP__TASK_EVENT__INIT;
	Np__Timestamp now = NP__TIMESTAMP__INIT;
	int64_t ns = clock_wall_ns();
	va_list ap;

	va_start(ap, fmt);
	char *said = arena_vprintf(&mem, fmt, ap);
	va_end(ap);
	now.seconds = ns / NS_PER_SEC;
	now.nanos = (int32_t)(ns % NS_PER_SEC);
	event.task_id = arena_strdup(&mem, task_id);
	event.alloc_id = arena_strdup(&mem, alloc_id);
	event.task_name = arena_strdup(&mem, task);
	event.message = text_utf8(said, &mem);
	event.timestamp = &now;
	/* who does not read loses events, not the plugin's memory */
	for (struct stream *s = p->events; s != NULL; s = s->next)
		if (grpc_pending(s->call) < BEHIND_MAX)
			grpc_send(s->call, &event.base);
}
