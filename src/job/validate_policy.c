/*
 * validate_policy.c: are the policies of a group possible?
 */
#include "job/faults.h"

#include "base/clock.h"
#include "base/str.h"

#include <regex.h>
#include <string.h>

static bool
one_of(const char *s, const char *const *words)
{
	for (; *words != NULL; words++)
		if (str_eq(s, *words))
			return true;
	return false;
}

static bool
empty(const char *s)
{
	return s == NULL || s[0] == '\0';
}

static const char *
ns(struct faults *f, int64_t duration)
{
	char text[CLOCK_TEXT];

	return arena_strdup(f->mem, duration_text(duration, text));
}

static void
regex_fault(struct faults *f, const char *pattern)
{
	char why[120];
	regex_t re;
	int r = regcomp(&re, pattern == NULL ? "" : pattern, REG_EXTENDED | REG_NOSUB);

	if (r == 0) {
		regfree(&re);
		return;
	}
	(void)regerror(r, &re, why, sizeof(why));
	faults_add(f, "Regular expression failed to compile: %s", why);
}

/* "~> 1.2, != 1.2.3-beta": operators and dotted numbers between commas. */
static bool
version_list_ok(const char *s)
{
	for (;;) {
		s += strspn(s, " ");
		s += strspn(s, "~><=!");
		s += strspn(s, " ");
		if (*s == 'v')
			s++;
		if (*s < '0' || *s > '9')
			return false;
		s += strcspn(s, ",");
		if (*s == '\0')
			return true;
		s++;
	}
}

static const char *const comparisons[] = { "=", "==", "is", "!=", "not", "<", "<=", ">",
	">=", NULL };
static const char *const sets[] = { "set_contains", "set_contains_all", "set_contains_any", NULL };

/* What constraints and affinities share. */
static bool
operand_faults(struct faults *f, const char *operand, const char *value, const char *what)
{
	if (one_of(operand, sets)) {
		if (empty(value))
			faults_add(f, "Set contains %s requires an RTarget", what);
	} else if (str_eq(operand, "regexp")) {
		regex_fault(f, value);
	} else if (str_eq(operand, "version") || str_eq(operand, "semver")) {
		if (!version_list_ok(value == NULL ? "" : value))
			faults_add(f, "%s %s is invalid: Malformed constraint: %s",
			    str_eq(operand, "version") ? "Version" : "Semver", what,
			    value == NULL ? "" : value);
	} else if (one_of(operand, comparisons)) {
		if (empty(value))
			faults_add(f, "Operator \"%s\" requires an RTarget", operand);
	} else {
		return false;
	}
	return true;
}

void
constraint_faults(struct faults *f, const struct constraint *c)
{
	uint64_t n;

	if (empty(c->operand))
		faults_add(f, "Missing constraint operand");
	else if (str_eq(c->operand, "distinct_property")) {
		if (!empty(c->r_target) && (!str_u64(c->r_target, UINT64_MAX, &n) || n < 1))
			faults_add(f,
			    "Distinct Property must have an allowed count of 1 or greater: %s",
			    c->r_target);
	} else if (str_eq(c->operand, "is_set") || str_eq(c->operand, "is_not_set")) {
		if (!empty(c->r_target))
			faults_add(f, "Operator \"%s\" does not support an RTarget", c->operand);
	} else if (!str_eq(c->operand, "distinct_hosts") &&
		   !operand_faults(f, c->operand, c->r_target, "constraint")) {
		faults_add(f, "Unknown constraint type \"%s\"", c->operand);
	}
	if (!str_eq(c->operand, "distinct_hosts") && empty(c->l_target))
		faults_add(f, "No LTarget provided but is required by constraint");
}

void
affinity_faults(struct faults *f, const struct affinity *a)
{
	if (empty(a->operand))
		faults_add(f, "Missing affinity operand");
	else if (!operand_faults(f, a->operand, a->r_target, "affinity"))
		faults_add(f, "Unknown affinity operator \"%s\"", a->operand);
	if (empty(a->l_target))
		faults_add(f, "No LTarget provided but is required");
	if (a->weight == 0)
		faults_add(f, "Affinity weight cannot be zero");
	if (a->weight < -100 || a->weight > 100)
		faults_add(f, "Affinity weight must be within the range [-100,100]");
}

void
spread_faults(struct faults *f, const struct spread *s)
{
	struct strs seen = { 0 };
	struct spread_target *t;
	int64_t sum = 0;

	if (empty(s->attribute))
		faults_add(f, "Missing spread attribute");
	if (s->weight <= 0 || s->weight > 100)
		faults_add(f, "Spread stanza must have a positive weight from 0 to 100");
	OBJS_FOREACH (t, &s->targets) {
		if (strs_has(&seen, t->value))
			faults_add(f, "Spread target value \"%s\" already defined", t->value);
		strs_add(&seen, f->mem, t->value);
		if (t->percent < 0 || t->percent > 100)
			faults_add(f,
			    "Spread target percentage for value \"%s\" must be between 0 and 100",
			    t->value);
		else
			sum += t->percent;
	}
	if (sum > 100)
		faults_add(f,
		    "Sum of spread target percentages must not be greater than 100%%; got %lld%%",
		    (long long)sum);
}

void
restart_faults(struct faults *f, const struct restart_policy *r)
{
	if (!str_eq(r->mode, "delay") && !str_eq(r->mode, "fail"))
		faults_add(f, "Unsupported restart mode: \"%s\"", r->mode);
	if (r->attempts < 0)
		faults_add(f, "Restart attempts can't be negative");
	if (r->attempts == 0 && !str_eq(r->mode, "fail"))
		faults_add(f, "Restart policy \"%s\" with 0 attempts is ambiguous", r->mode);
	if (r->delay < 0)
		faults_add(f, "Restart delay can't be negative");
	if (r->interval < 5 * NS_PER_SEC)
		faults_add(f, "Interval can not be less than 5s (got %s)", ns(f, r->interval));
	if (r->attempts > 0 && r->delay > 0 && r->attempts > r->interval / r->delay)
		faults_add(f,
		    "Nomad can't restart the TaskGroup %lld times in an interval of %s with a "
		    "delay of %s",
		    (long long)r->attempts, ns(f, r->interval), ns(f, r->delay));
}

/* The pause after `delay`; `before` is the one before it. Never above the maximum. */
static int64_t
next_delay(const struct reschedule_policy *r, int64_t delay, int64_t before)
{
	int64_t more = str_eq(r->delay_function, "exponential") ? delay : before;

	return delay > r->max_delay - more ? r->max_delay : delay + more;
}

/* How many attempts fit into the interval, when the pauses grow as the function says. */
static int64_t
attempts_that_fit(const struct reschedule_policy *r)
{
	bool grows = !str_eq(r->delay_function, "constant");
	int64_t n = 0, used = 0, delay = r->delay, before = 0;

	while (grows && delay < r->max_delay && used <= r->interval - delay) {
		int64_t next = next_delay(r, delay, before);

		used += delay;
		n++;
		before = delay;
		delay = next;
	}
	return n + (used <= r->interval - delay ? (r->interval - used) / delay : 0);
}

void
reschedule_faults(struct faults *f, const struct reschedule_policy *r)
{
	static const char *const functions[] = { "constant", "exponential", "fibonacci", NULL };
	bool sound = true;

	if (r->attempts <= 0 && !r->unlimited)
		return;
	if (r->attempts > 0 && r->interval <= 0)
		faults_add(f, "Interval must be a non zero value if Attempts > 0");
	if (r->attempts > 0 && r->unlimited)
		faults_add(f, "If Attempts >0, Unlimited cannot also be set to true");
	if (r->delay < 5 * NS_PER_SEC) {
		faults_add(f, "Delay cannot be less than 5s (got %s)", ns(f, r->delay));
		sound = false;
	}
	if (!one_of(r->delay_function, functions)) {
		faults_add(f,
		    "Invalid delay function \"%s\", must be one of [\"constant\" \"exponential\" "
		    "\"fibonacci\"]",
		    r->delay_function == NULL ? "" : r->delay_function);
		sound = false;
	} else if (!str_eq(r->delay_function, "constant") && r->max_delay < r->delay) {
		faults_add(f, "Max Delay cannot be less than Delay %s (got %s)", ns(f, r->delay),
		    ns(f, r->max_delay));
		sound = false;
	}
	if (r->unlimited)
		return;
	if (r->interval < 15 * NS_PER_SEC)
		faults_add(f, "Interval cannot be less than 15s (got %s)", ns(f, r->interval));
	else if (sound && attempts_that_fit(r) < r->attempts)
		faults_add(f,
		    "Nomad can only make %lld attempts in %s with initial delay %s and delay "
		    "function \"%s\"",
		    (long long)attempts_that_fit(r), ns(f, r->interval), ns(f, r->delay),
		    r->delay_function);
}

void
update_faults(struct faults *f, const struct update_strategy *u)
{
	static const char *const kinds[] = { "checks", "task_states", "manual", NULL };

	if (!one_of(u->health_check, kinds))
		faults_add(f, "Invalid health check given: \"%s\"", u->health_check);
	if (u->max_parallel < 0)
		faults_add(f, "Max parallel can not be less than zero: %lld < 0",
		    (long long)u->max_parallel);
	if (u->canary < 0)
		faults_add(
		    f, "Canary count can not be less than zero: %lld < 0", (long long)u->canary);
	if (u->canary == 0 && u->auto_promote)
		faults_add(f, "Auto Promote requires a Canary count greater than zero");
	if (u->min_healthy_time < 0)
		faults_add(f, "Minimum healthy time may not be less than zero: %s",
		    ns(f, u->min_healthy_time));
	if (u->healthy_deadline <= 0)
		faults_add(f, "Healthy deadline must be greater than zero: %s",
		    ns(f, u->healthy_deadline));
	if (u->progress_deadline < 0)
		faults_add(f, "Progress deadline must be zero or greater: %s",
		    ns(f, u->progress_deadline));
	if (u->min_healthy_time >= u->healthy_deadline)
		faults_add(f, "Minimum healthy time must be less than healthy deadline: %s > %s",
		    ns(f, u->min_healthy_time), ns(f, u->healthy_deadline));
	if (u->progress_deadline != 0 && u->healthy_deadline >= u->progress_deadline)
		faults_add(f, "Healthy deadline must be less than progress deadline: %s > %s",
		    ns(f, u->healthy_deadline), ns(f, u->progress_deadline));
	if (u->stagger <= 0)
		faults_add(f, "Stagger must be greater than zero: %s", ns(f, u->stagger));
}

void
migrate_faults(struct faults *f, const struct migrate_strategy *m)
{
	static const char *const kinds[] = { "checks", "task_states", NULL };

	if (m->max_parallel < 0)
		faults_add(
		    f, "MaxParallel must be >= 0 but found %lld", (long long)m->max_parallel);
	if (!one_of(m->health_check, kinds))
		faults_add(f, "Invalid HealthCheck: \"%s\"", m->health_check);
	if (m->min_healthy_time < 0)
		faults_add(f, "MinHealthyTime is %s and must be >= 0", ns(f, m->min_healthy_time));
	if (m->healthy_deadline < 0)
		faults_add(f, "HealthyDeadline is %s and must be >= 0", ns(f, m->healthy_deadline));
	if (m->min_healthy_time > m->healthy_deadline)
		faults_add(f, "MinHealthyTime must be less than HealthyDeadline");
}
