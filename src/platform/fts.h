/*
 * fts.h: fts_open(3), whose comparison takes differently qualified pointers on the two systems.
 *
 *	static int by_name(fts_ref a, fts_ref b) { return strcmp((*a)->fts_name, (*b)->fts_name); }
 */
#ifndef PLATFORM_FTS_H
#define PLATFORM_FTS_H

#include <sys/types.h>
#include <sys/stat.h>
#include <fts.h>

#ifdef __linux__
typedef const FTSENT **fts_ref;
#else
typedef const FTSENT *const *fts_ref;
#endif

#endif
