#include "platform/cpus.h"

#include <stdlib.h>
#include <string.h>

int
cpus_parse(const char *text, bool cpus[CPUS_MAX], struct err *e)
{
	const char *at = text;
	int n = 0;

	memset(cpus, 0, CPUS_MAX * sizeof(*cpus));
	while (*at != '\0' && *at != '\n') {
		char *end;
		unsigned long first = strtoul(at, &end, 10), last = first;

		if (end == at || *at < '0' || *at > '9')
			goto bad;
		at = end;
		if (*at == '-') {
			if (at[1] < '0' || at[1] > '9')
				goto bad;
			last = strtoul(at + 1, &end, 10);
			at = end;
		}
		if (last >= CPUS_MAX || first > last || (*at != ',' && *at != '\0' && *at != '\n'))
			goto bad;
		for (unsigned long i = first; i <= last; i++) {
			n += !cpus[i];
			cpus[i] = true;
		}
		if (*at == ',' && (at[1] < '0' || at[1] > '9'))
			goto bad;
		at += *at == ',';
	}
	return n;
bad:
	return err_new(e, ERR_INPUT, "'%s' is not a set of CPUs like 0-2,5", text);
}

void
cpus_write(const bool cpus[CPUS_MAX], struct buf *out)
{
	for (int i = 0; i < CPUS_MAX; i++) {
		int last = i;

		if (!cpus[i])
			continue;
		while (last + 1 < CPUS_MAX && cpus[last + 1])
			last++;
		buf_addf(out, last > i ? "%s%d-%d" : "%s%d", out->len > 0 ? "," : "", i, last);
		i = last;
	}
}

void
cpus_least(
    const bool from[CPUS_MAX], const unsigned used[CPUS_MAX], unsigned count, bool out[CPUS_MAX])
{
	memset(out, 0, CPUS_MAX * sizeof(*out));
	for (unsigned n = 0; n < count; n++) {
		int best = -1;

		for (int i = 0; i < CPUS_MAX; i++)
			if (from[i] && !out[i] && (best < 0 || used[i] < used[best]))
				best = i;
		if (best >= 0)
			out[best] = true;
	}
}
