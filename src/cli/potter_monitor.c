/* potter_monitor.c: following an evaluation and its deployment until they have ended. */
#include "cli/potter.h"

#include "base/clock.h"
#include "base/map.h"
#include "base/str.h"
#include "io/loop.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { POLL_MS = 1000, DEPLOYMENT_WAIT_MS = 2000 };

static const char *
now(struct potter_call *c)
{
	return potter_time(c, clock_wall_ns());
}

static void
wake(void *ctx)
{
	loop_stop(ctx);
}

/* Between two questions about something that cannot be waited for over the API. */
static void
pause_ms(struct potter_call *c, int64_t ms)
{
	struct loop_timer *t = loop_timer(c->loop, ms, 0, wake, c->loop);

	loop_run(c->loop);
	loop_timer_free(&t);
}

/* ---- what was known at the last look ---- */

struct seen {
	const char *status, *job, *node, *deployment;
	struct map allocs; /* id -> client status */
};

static void
look_at_allocs(struct potter_call *c, struct seen *s, const json_t *eval, const json_t *allocs)
{
	size_t i, n = potter_length(c);
	json_t *a;

	json_array_foreach (allocs, i, a) {
		const char *id = json_str(a, "ID", ""), *status = json_str(a, "ClientStatus", "");
		const char *before = map_get(&s->allocs, id),
			   *why = json_str(a, "ClientDescription", "");
		const char *node = potter_short(c, json_str(a, "NodeID", ""), n);
		bool older = json_int(a, "CreateIndex", 0) < json_int(eval, "CreateIndex", 0);
		if (before == NULL && (older || str_eq(json_str(a, "DesiredStatus", ""), "run")))
			printf("    %s: Allocation \"%s\" %s: node \"%s\", group \"%s\"\n", now(c),
			    potter_short(c, id, n), older ? "modified" : "created", node,
			    json_str(a, "TaskGroup", ""));
		else if (before != NULL && strcmp(before, status) != 0)
			printf("    %s: Allocation \"%s\" status changed: \"%s\" -> \"%s\"%s%s%s\n",
			    now(c), potter_short(c, id, n), before, status, why[0] ? " (" : "", why,
			    why[0] ? ")" : "");
		map_set(&s->allocs, id, arena_strdup(&c->mem, status));
	}
}

static void
look(struct potter_call *c, struct seen *s, const json_t *eval, const json_t *allocs)
{
	const char *status = json_str(eval, "Status", ""), *job = json_str(eval, "JobID", "");
	const char *node = json_str(eval, "NodeID", ""),
		   *deployment = json_str(eval, "DeploymentID", "");

	if (s->node[0] == '\0' && node[0] != '\0')
		printf("    %s: Evaluation triggered by node \"%s\"\n", now(c),
		    potter_short(c, node, potter_length(c)));
	if (s->job[0] == '\0' && job[0] != '\0')
		printf("    %s: Evaluation triggered by job \"%s\"\n", now(c), job);
	if (s->deployment[0] == '\0' && deployment[0] != '\0')
		printf("    %s: Evaluation within deployment: \"%s\"\n", now(c),
		    potter_short(c, deployment, potter_length(c)));
	look_at_allocs(c, s, eval, allocs);
	if (s->status[0] != '\0' && strcmp(status, "pending") != 0 &&
	    strcmp(s->status, status) != 0)
		printf("    %s: Evaluation status changed: \"%s\" -> \"%s\"\n", now(c), s->status,
		    status);
	s->status = arena_strdup(&c->mem, status);
	s->job = arena_strdup(&c->mem, job);
	s->node = arena_strdup(&c->mem, node);
	s->deployment = arena_strdup(&c->mem, deployment);
	fflush(stdout);
}

static bool
terminal(const char *status)
{
	return strcmp(status, "complete") == 0 || strcmp(status, "failed") == 0 ||
	       strcmp(status, "canceled") == 0;
}

static bool
tell_end(struct potter_call *c, const json_t *eval)
{
	const char *id = potter_short(c, json_str(eval, "ID", ""), potter_length(c)), *group;
	const json_t *failed = json_object_get(eval, "FailedTGAllocs");
	const char *status = json_str(eval, "Status", ""),
		   *blocked = json_str(eval, "BlockedEval", "");
	json_t *m;

	if (json_object_size(failed) == 0) {
		printf(
		    "==> %s: Evaluation \"%s\" finished with status \"%s\"\n", now(c), id, status);
		return false;
	}
	printf("==> %s: Evaluation \"%s\" finished with status \"%s\" but failed to place all "
	       "allocations:\n",
	    now(c), id, status);
	json_object_foreach ((json_t *)failed, group, m) {
		int64_t more = json_int(m, "CoalescedFailures", 0);
		printf("    %s: Task Group \"%s\" (failed to place %lld allocation%s):\n", now(c),
		    group, (long long)more + 1, more > 0 ? "s" : "");
		potter_show_metrics(c, m, false, "      ");
	}
	if (blocked[0] != '\0')
		printf("    %s: Evaluation \"%s\" waiting for additional capacity to place "
		       "remainder\n",
		    now(c), potter_short(c, blocked, potter_length(c)));
	return true;
}

/* One evaluation; *next gets the id of the one that follows it, or "". -1: told and given up. */
static int
follow(struct potter_call *c, const char *id, struct seen *s, const char **next)
{
	for (;;) {
		autoreply struct potter_reply eval = POTTER_REPLY_INIT, allocs = POTTER_REPLY_INIT;
		struct err e = ERR_INIT;
		if (potter_get(c, &eval, &e, "/v1/evaluation/%s", id) < 0) {
			fprintf(stderr, "==> No evaluation with id \"%s\" found\n", id);
			return -1;
		}
		printf("==> %s: Monitoring evaluation \"%s\"\n", now(c),
		    potter_short(c, json_str(eval.json, "ID", ""), potter_length(c)));
		if (potter_get(c, &allocs, &e, "/v1/evaluation/%s/allocations", id) < 0) {
			fprintf(stderr, "==> %s: Error reading allocations: %s\n", now(c), e.text);
			return -1;
		}
		look(c, s, eval.json, allocs.json);
		if (terminal(s->status)) {
			*next = arena_strdup(&c->mem, json_str(eval.json, "NextEval", ""));
			return tell_end(c, eval.json);
		}
		pause_ms(c, POLL_MS);
	}
}

int
potter_monitor_eval(struct potter_call *c, const char *id)
{
	const char *deployment = "", *next = id;
	int failed = 0;

	while (next[0] != '\0') {
		struct seen s = {
			.status = "", .job = "", .node = "", .deployment = "", .allocs = MAP_INIT
		};
		const char *current = next;
		int rc = follow(c, current, &s, &next);
		map_fini(&s.allocs);
		if (rc < 0)
			return 1;
		failed = failed || rc > 0;
		deployment = s.deployment;
	}
	/* what could not be placed may wait for room for ever: the deployment would, too */
	if (deployment[0] != '\0' && !failed) {
		printf("==> %s: Monitoring deployment \"%s\"\n", now(c),
		    potter_short(c, deployment, potter_length(c)));
		potter_monitor_deployment(c, deployment);
	}
	return failed ? 2 : 0;
}

static bool
ended(const char *status)
{
	return strcmp(status, "successful") == 0 || strcmp(status, "failed") == 0 ||
	       strcmp(status, "cancelled") == 0 || strcmp(status, "blocked") == 0;
}

int
potter_monitor_deployment(struct potter_call *c, const char *id)
{
	uint64_t index = 0;

	for (;;) {
		autoreply struct potter_reply d = POTTER_REPLY_INIT;
		struct err e = ERR_INIT;
		if (potter_get(c, &d, &e, "/v1/deployment/%s?stale=&wait=%dms&index=%llu", id,
			DEPLOYMENT_WAIT_MS, (unsigned long long)index) < 0) {
			fprintf(stderr, "    %s: Error fetching deployment: %s\n", now(c), e.text);
			return 1;
		}
		bool over = ended(json_str(d.json, "Status", ""));
		if (d.index != index || over) {
			printf("\n    %s\n", now(c));
			potter_show_deployment(c, d.json, "    ");
			fflush(stdout);
		}
		if (over)
			return strcmp(json_str(d.json, "Status", ""), "successful") != 0;
		index = d.index;
	}
}
