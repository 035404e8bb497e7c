/*
 * clock.h: time as 64-bit counts, and its texts.
 *
 * Names carry the unit: _ns, _ms. Wall time is for people and records (Unix epoch, UTC), monotonic
 * time for intervals. Pure folders (sched, state) get time as an argument and never call these.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NS_PER_MS  1000000LL
#define NS_PER_SEC 1000000000LL

int64_t clock_wall_ns(void);
int64_t clock_mono_ns(void);

enum { CLOCK_TEXT = 40 };
/* RFC 3339 with nanoseconds in UTC, trailing zeros cut as Go does; 0 gives 0001-01-01T00:00:00Z. */
const char *clock_rfc3339(int64_t wall_ns, char out[CLOCK_TEXT]);
bool clock_parse_rfc3339(const char *text, int64_t *wall_ns);

/* Go's durations: "1h2m3.5s", "300ms", "-5s", "0". False: malformed or out of range. */
bool duration_parse(const char *text, int64_t *ns);
/* As Go prints them: "1m30s", "500ms", "0s". */
const char *duration_text(int64_t ns, char out[CLOCK_TEXT]);

#endif
