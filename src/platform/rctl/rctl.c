#include "platform/rctl/rctl.h"

#include "base/ids.h"
#include "base/str.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

enum { RULES_MAX = 64 };

void
rctl_run_fini(struct rctl_run *r)
{
	names_fini(&r->rules);
}

void
rctl_run_write(const struct rctl_run *r, struct buf *out)
{
	if (r->jail[0] != '\0')
		buf_addf(out, "jail %s\n", r->jail);
	if (r->jid > 0)
		buf_addf(out, "jid %d\n", r->jid);
	for (size_t i = 0; i < r->rules.n; i++)
		buf_addf(out, "rule %s\n", r->rules.at[i]);
	if (r->cpus[0] != '\0')
		buf_addf(out, "cpus %s\n", r->cpus);
}

static bool
parse_line(const char *key, const char *value, struct rctl_run *r)
{
	uint64_t n;

	if (*value == '\0')
		return false;
	if (str_eq(key, "jail"))
		return str_copy(r->jail, sizeof(r->jail), value);
	if (str_eq(key, "cpus"))
		return str_copy(r->cpus, sizeof(r->cpus), value);
	if (str_eq(key, "jid") && str_u64(value, INT_MAX, &n)) {
		r->jid = (int)n;
		return true;
	}
	if (!str_eq(key, "rule") || r->rules.n >= RULES_MAX)
		return false;
	names_add(&r->rules, value);
	return true;
}

int
rctl_run_parse(const char *text, struct rctl_run *out, struct err *e)
{
	autoarena struct arena mem = ARENA_INIT;
	autorctl_run struct rctl_run r = RCTL_RUN_INIT;
	size_t n;
	char **line = str_split(&mem, text, '\n', &n);

	for (size_t i = 0; i < n; i++) {
		char *blank = strchr(line[i], ' ');

		if (*line[i] == '\0')
			continue;
		if (blank != NULL)
			*blank = '\0';
		if (blank == NULL || !parse_line(line[i], blank + 1, &r))
			return err_new(e, ERR_CORRUPT,
			    "what is kept of its limits has the line '%s'", line[i]);
	}
	*out = r;
	r.rules = (struct names)NAMES_INIT;
	return 0;
}

bool
rctl_jail_of(const char *run, char out[RCTL_JAIL])
{
	const char *dot = strrchr(run, '.');

	if (dot == NULL || dot == run || (size_t)(dot - run) >= RCTL_JAIL ||
	    strlen(dot + 1) != RUN_ID_TEXT - 1 ||
	    strspn(dot + 1, "0123456789abcdef") != RUN_ID_TEXT - 1)
		return false;
	memcpy(out, run, (size_t)(dot - run));
	out[dot - run] = '\0';
	/* a colon would end the name in a rule */
	return strpbrk(out, ":/=,\n ") == NULL;
}

static void
add(struct names *out, const char *jail, const char *resource, const char *action, uint64_t amount)
{
	autofree char *rule = xasprintf("jail:%s:%s:%s=%" PRIu64, jail, resource, action, amount);

	names_add(out, rule);
}

int
rctl_check(const struct limits *l, struct err *e)
{
	if (l->io_weight > 0)
		return err_new(e, ERR_UNSUPPORTED,
		    "weight of disks: rctl knows bytes and operations a second, no weights");
	if (l->cpu_shares > 0 && l->shares_asked)
		return err_new(e, ERR_UNSUPPORTED,
		    "weight of processors: rctl knows percentages of one, no weights");
	return 0;
}

void
rctl_rules(const char *jail, const struct limits *l, struct names *out)
{
	if (l->memory_bytes > 0) {
		/* pages go out where there is swap; what that does not help ends, within a second
		 */
		add(out, jail, "memoryuse", "deny", l->memory_bytes);
		add(out, jail, "memoryuse", "sigkill", l->memory_bytes);
		add(out, jail, "memoryuse", "log", l->memory_bytes); /* whom it has ended */
	}
	if (l->pids > 0) {
		add(out, jail, "maxproc", "deny", l->pids);
		add(out, jail, "nthr", "deny", l->pids);
	}
	if (l->cpu_quota_percent > 0)
		add(out, jail, "pcpu", "deny", l->cpu_quota_percent);
}

char *
rctl_cpuset(const char *jail, const char *cpus)
{
	return xasprintf("cpuset -l %s -j %s", cpus, jail);
}

char *
rctl_filter(const char *rule)
{
	return xstrndup(rule, strcspn(rule, "="));
}

bool
rctl_value(const char *text, const char *resource, uint64_t *out)
{
	size_t n = strlen(resource);

	for (const char *at = text; *at != '\0'; at += *at == ',') {
		size_t len = strcspn(at, ",");

		if (len > n + 1 && len - n < 24 && memcmp(at, resource, n) == 0 && at[n] == '=') {
			char number[24];

			memcpy(number, at + n + 1, len - n - 1);
			number[len - n - 1] = '\0';
			return str_u64(number, UINT64_MAX, out);
		}
		at += len;
	}
	return false;
}
