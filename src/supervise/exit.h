/*
 * exit.h: what a keeper writes down about a run that has ended (own to this folder; others read it
 * by keeper_exit_read()).
 *
 * <run_dir>/exit is one line of JSON:
 * {"RunID":"…","ExitCode":0,"Signal":0,"OOMKilled":false,"StartedNs":…,"EndedNs":…}
 * <pot>/conf/.last_run_stats is exactly what pot's tools expect: { "ExitCode": 0 }
 */
#ifndef SUPERVISE_EXIT_H
#define SUPERVISE_EXIT_H

#include "supervise/keeper.h"

/* The first is on disk when it returns, the second is not. NULL paths are left out. */
int exit_write(const char *run_dir, const char *run_id, const struct keeper_exit *x, struct err *e);
int exit_write_stats(const char *stats_path, const struct keeper_exit *x, struct err *e);
int exit_parse(const char *text, size_t len, struct keeper_exit *out, struct err *e);

#endif
