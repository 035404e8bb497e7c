/*
 * health.h: is an instance any use? tcp, http and script probes on the loop, with rise and fall.
 *
 * A probe runs at once when it is started and then every interval. While the instance is younger
 * than one interval and has never passed, a failed run is repeated after 5, 10, 20, 40 … 320 ms
 * instead of a whole interval, so that an instance is known to pass within milliseconds of opening
 * its port; these early failures count for nothing (a process that is still starting is not sick).
 *
 * Status follows Consul's rules: a run passes, warns (http 429, script exit 1) or fails;
 * `success_before_passing` consecutive good runs lift the status, `failures_before_critical`
 * consecutive bad ones drop it. Outputs are worded as Consul's, at most HEALTH_OUTPUT_MAX bytes.
 *
 * Everything happens on the loop's thread. The callback may stop its own probe.
 */
#ifndef HEALTH_HEALTH_H
#define HEALTH_HEALTH_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct loop;

enum { HEALTH_OUTPUT_MAX = 4096 };

/* Ordered from worst to best, so that the worst of several is the smallest. */
enum health_status { HEALTH_CRITICAL, HEALTH_WARNING, HEALTH_PASSING };

const char *health_status_name(enum health_status status); /* "critical", "warning", "passing" */
bool health_status_named(const char *name, enum health_status *status);

/* The result of one script run; `exit_code` -1: could not be run or was killed. Called once, later.
 */
typedef void health_script_done(void *done_arg, int exit_code, const char *output);
/* Runs argv inside the instance and calls done(done_arg, …) when it ends; at the timeout it kills
 * the command and reports -1. Returns -1 when it cannot even begin. */
typedef int health_script_run(void *arg, const char *const *argv, int64_t timeout_ns,
    health_script_done *done, void *done_arg, struct err *e);

/* All text is copied by health_start(). */
struct health_spec {
	const char *type;    /* "tcp", "http", "script" */
	const char *address; /* numeric IPv4 or IPv6 */
	int port;	     /* 1…65535 */

	/* http only */
	const char *protocol;	    /* NULL or "http"; "https" is refused by name */
	const char *method;	    /* NULL: GET */
	const char *path;	    /* NULL: "/"; begins with a slash */
	const char *body;	    /* NULL: none */
	const char *const *headers; /* "Name: value", ended by NULL; or NULL */

	/* script only */
	const char *const *argv; /* ended by NULL */
	health_script_run *run;	 /* NULL: scripts are refused by name */
	void *run_arg;

	int64_t interval_ns;		   /* at least 1 ms; jobs are checked for 1 s elsewhere */
	int64_t timeout_ns;		   /* 0: 10 s */
	unsigned success_before_passing;   /* 0 means 1 */
	unsigned failures_before_critical; /* 0 means 1 */
	enum health_status initial;	   /* reported by health_status() until the first change */
};

struct health_probe;

/* The status changed, or (while not passing) a regular run ended with another output than last
 * told. `output` is valid during the call only. */
typedef void health_cb(
    void *arg, struct health_probe *probe, enum health_status status, const char *output);

/* Starts probing; the first callback comes from the loop, never from inside this call. NULL with *e
 * when the spec cannot be carried out (ERR_INPUT, ERR_UNSUPPORTED). The caller owns the probe. */
struct health_probe *health_start(
    struct loop *loop, const struct health_spec *spec, health_cb *cb, void *arg, struct err *e);
/* Ends it: no callback follows. NULL is fine. */
void health_stop(struct health_probe *probe);

enum health_status health_status(const struct health_probe *probe);
const char *health_output(const struct health_probe *probe); /* of the last run; "" before it */

#endif
