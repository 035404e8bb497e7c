#include "client/restart.h"

#include "base/clock.h"

#include <stdio.h>

static void
answer(
    struct restart_answer *out, enum restart_verdict verdict, int64_t wait_ns, const char *reason)
{
	out->verdict = verdict;
	out->wait_ns = wait_ns;
	snprintf(out->reason, sizeof(out->reason), "%s", reason);
}

static void
used_up(const struct restart *r, int64_t now_ns, struct restart_answer *out)
{
	char interval[CLOCK_TEXT], reason[RESTART_REASON];

	snprintf(reason, sizeof(reason),
	    "Exceeded allowed attempts %lld in interval %s and mode is \"%s\"",
	    (long long)r->attempts, duration_text(r->interval_ns, interval),
	    r->mode_delay ? "delay" : "fail");
	if (r->mode_delay)
		answer(out, RESTART_NOW_OR_LATER, r->window_ns + r->interval_ns - now_ns,
		    "Exceeded allowed attempts, applying a delay");
	else
		answer(out, RESTART_FAILED, 0, reason);
}

void
restart_ended(struct restart *r, int64_t now_ns, bool ok, bool may_retry, double chance,
    struct restart_answer *out)
{
	if (r->only_failed && ok) {
		answer(out, RESTART_DONE, 0, "");
		return;
	}
	if (!may_retry) {
		answer(out, RESTART_FAILED, 0, "Error was unrecoverable");
		return;
	}
	if (r->attempts == 0) {
		answer(out, RESTART_FAILED, 0, "Policy allows no restarts");
		return;
	}
	if (r->window_ns == 0 || now_ns - r->window_ns > r->interval_ns) {
		r->window_ns = now_ns;
		r->used = 0;
	}
	if (r->used >= r->attempts) {
		used_up(r, now_ns, out);
		return;
	}
	r->used++;
	answer(out, RESTART_NOW_OR_LATER,
	    r->delay_ns + (int64_t)((double)r->delay_ns * 0.25 * chance), "Restart within policy");
}
