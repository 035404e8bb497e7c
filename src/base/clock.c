#include "base/clock.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static int64_t
read_clock(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (int64_t)t.tv_sec * NS_PER_SEC + t.tv_nsec;
}

int64_t
clock_wall_ns(void)
{
	return read_clock(CLOCK_REALTIME);
}

int64_t
clock_mono_ns(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

const char *
clock_rfc3339(int64_t wall_ns, char out[CLOCK_TEXT])
{
	if (wall_ns == 0) {
		memcpy(out, "0001-01-01T00:00:00Z", 21);
		return out;
	}
	int64_t sec = wall_ns / NS_PER_SEC, frac = wall_ns % NS_PER_SEC;
	if (frac < 0) {
		frac += NS_PER_SEC;
		sec--;
	}
	time_t t = (time_t)sec;
	struct tm tm;
	gmtime_r(&t, &tm);
	size_t n = strftime(out, CLOCK_TEXT - 12, "%Y-%m-%dT%H:%M:%S", &tm);
	if (frac != 0) {
		n += (size_t)snprintf(out + n, CLOCK_TEXT - n, ".%09lld", (long long)frac);
		while (out[n - 1] == '0')
			n--;
	}
	out[n++] = 'Z';
	out[n] = '\0';
	return out;
}

bool
clock_parse_rfc3339(const char *text, int64_t *wall_ns)
{
	struct tm tm = { 0 };
	int used = 0;

	if (sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday,
		&tm.tm_hour, &tm.tm_min, &tm.tm_sec, &used) != 6)
		return false;
	if (tm.tm_year == 1) {
		*wall_ns = 0;
		return true;
	}
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	const char *p = text + used;
	int64_t frac = 0, unit = NS_PER_SEC / 10;
	if (*p == '.')
		for (p++; isdigit((unsigned char)*p); p++, unit /= 10)
			frac += (*p - '0') * unit;
	int64_t shift = 0;
	int h, m;
	if ((*p == '+' || *p == '-') && sscanf(p + 1, "%2d:%2d", &h, &m) == 2)
		shift = (*p == '+' ? 1 : -1) * (h * 3600 + m * 60);
	else if (*p != 'Z')
		return false;
	*wall_ns = ((int64_t)timegm(&tm) - shift) * NS_PER_SEC + frac;
	return true;
}

static const struct {
	const char *name;
	int64_t ns;
} units[] = {
	{ "ns", 1 },
	{ "us", 1000 },
	{ "\xc2\xb5s", 1000 },
	{ "ms", NS_PER_MS },
	{ "s", NS_PER_SEC },
	{ "m", 60 * NS_PER_SEC },
	{ "h", 3600 * NS_PER_SEC },
};

static bool
one_part(const char **p, int64_t *ns)
{
	long double value = 0, scale = 1;
	bool digits = false;

	for (; isdigit((unsigned char)**p); (*p)++, digits = true)
		value = value * 10 + (**p - '0');
	if (**p == '.')
		for ((*p)++; isdigit((unsigned char)**p); (*p)++, digits = true) {
			scale /= 10;
			value += (**p - '0') * scale;
		}
	size_t len = 0;
	while ((*p)[len] != '\0' && (*p)[len] != '.' && !isdigit((unsigned char)(*p)[len]))
		len++;
	for (size_t i = 0; digits && i < sizeof(units) / sizeof(units[0]); i++)
		if (strlen(units[i].name) == len && memcmp(units[i].name, *p, len) == 0) {
			value = value * (long double)units[i].ns + (long double)*ns + 0.0000001L;
			if (value > 9.2e18L)
				return false;
			*ns = (int64_t)value;
			*p += len;
			return true;
		}
	return false;
}

bool
duration_parse(const char *text, int64_t *ns)
{
	const char *p = text;
	int64_t total = 0;
	bool negative = *p == '-';

	if (*p == '-' || *p == '+')
		p++;
	if (strcmp(p, "0") == 0) {
		*ns = 0;
		return true;
	}
	if (*p == '\0')
		return false;
	while (*p != '\0')
		if (!one_part(&p, &total))
			return false;
	*ns = negative ? -total : total;
	return true;
}

static void
fraction(char *out, size_t size, int64_t value, int64_t unit, const char *name)
{
	int digits = unit == NS_PER_SEC ? 9 : unit == NS_PER_MS ? 6 : 3;
	int n = snprintf(
	    out, size, "%lld.%0*lld", (long long)(value / unit), digits, (long long)(value % unit));

	while (out[n - 1] == '0')
		n--;
	if (out[n - 1] == '.')
		n--;
	snprintf(out + n, size - (size_t)n, "%s", name);
}

const char *
duration_text(int64_t ns, char out[CLOCK_TEXT])
{
	size_t n = 0;
	int64_t v = ns;

	if (v < 0) {
		out[n++] = '-';
		v = -v;
	}
	if (v == 0)
		snprintf(out, CLOCK_TEXT, "0s");
	else if (v < 1000)
		snprintf(out + n, CLOCK_TEXT - n, "%lldns", (long long)v);
	else if (v < NS_PER_MS)
		fraction(out + n, CLOCK_TEXT - n, v, 1000, "\xc2\xb5s");
	else if (v < NS_PER_SEC)
		fraction(out + n, CLOCK_TEXT - n, v, NS_PER_MS, "ms");
	else {
		int64_t h = v / (3600 * NS_PER_SEC), m = v / (60 * NS_PER_SEC) % 60;
		if (h > 0)
			n += (size_t)snprintf(out + n, CLOCK_TEXT - n, "%lldh", (long long)h);
		if (h > 0 || m > 0)
			n += (size_t)snprintf(out + n, CLOCK_TEXT - n, "%lldm", (long long)m);
		fraction(out + n, CLOCK_TEXT - n, v % (60 * NS_PER_SEC), NS_PER_SEC, "s");
	}
	return out;
}
