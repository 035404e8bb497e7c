/*
 * set.h: one dataset, opened: found by its name, described, locked when it is to change.
 */
#ifndef PLATFORM_OVERLAY_SET_H
#define PLATFORM_OVERLAY_SET_H

#include "platform/overlay/store.h"

struct set {
	struct store s;
	char id[RUN_ID_TEXT];
	int lock;
	struct meta m;
};

#define SET_OF(h)                                                                                  \
	{                                                                                          \
		.s = STORE_OF(h), .lock = -1, .m = META_INIT                                       \
	}

/* ERR_ABSENT. A replacement of its content that was interrupted is finished first. */
int set_open(struct host *h, struct set *set, const char *name, enum store_lock how, struct err *e);
void set_close(struct set *set);
#define autoset CLEANUP(set_close)

/* Is the dataset there, whose name is? 1, 0. */
int set_there(const struct store *s, const char *name, struct err *e);
/* The name is nobody's from here on; ERR_EXISTS, or ERR_BUSY: somebody is just making it. */
int set_claim(struct store *s, const char *name, struct err *e);
/* What making a dataset begins with: a description that nothing leads to, locked from the start so
 * that nobody takes one in the making for an interrupted one. */
int set_begin(
    struct host *h, struct set *set, const char *name, enum dataset_kind kind, struct err *e);
/* NULL with ERR_ABSENT: it has no such snapshot. */
struct meta_snapshot *set_snapshot(
    struct set *set, const char *name, const char *snap, struct err *e);
int set_absent(const char *name, struct err *e); /* the error for it */
int set_save(struct set *set, bool durable, struct err *e);
/* Lets go of the layers of `before` that the description names no more. */
int set_drop_layers(struct set *set, const struct names *before, struct err *e);

/* ---- plain datasets ---- */
/* A descriptor of its directory. */
int set_content(struct set *set, const char *name, struct err *e);
/* Content becomes that of layer m.fill. The directory itself stays, and so do the datasets below
 * it. Begun again from the start when it was interrupted. */
int overlay_fill(struct set *set, const char *name, struct err *e);

/* One row for each dataset that is wanted; `names` (id → name) is filled before fn is called, its
 * values are the caller's to free. `all` are the names of all, sorted; it is about all->at[i]. */
typedef int survey_fn(
    void *ctx, const struct names *all, size_t i, struct dataset_facts *row, struct err *e);
struct map;
int store_survey(struct store *s, const char *name, struct map *names, survey_fn *fn, void *ctx,
    struct dataset_survey *out, struct err *e);

/* dataset_ops.survey */
int overlay_survey(struct host *h, const char *name, const struct dataset_watch *watch,
    struct dataset_survey *out, struct err *e);

#endif
