/*
 * apply.h: one command on its way through the sections. The folder's own.
 */
#ifndef STATE_APPLY_H
#define STATE_APPLY_H

#include "state/command.h"
#include "state/tables.h"

struct apply {
	struct state *s;
	const struct command *c;
	int64_t index, now;
	struct map jobs;	/* "namespace/id" -> eval that says what is queued, or a marker */
	struct map deployments; /* id -> a marker */
};

static inline const char *
text(const char *s)
{
	return s != NULL ? s : "";
}

static inline bool
said(const char *s)
{
	return s != NULL && s[0] != '\0';
}

/* Their derived members are due at the end. */
void touch_job(struct apply *ap, const char *namespace, const char *id);
void touch_deployment(struct apply *ap, const char *id);

void apply_job_stable(struct apply *ap, const struct job_stable *st);
void remove_services(struct apply *ap, struct rows list); /* takes the list */

/* apply_allocs.c */
void apply_report(struct apply *ap, const struct alloc *given);
void apply_transition(struct apply *ap, const struct transition *t);
void apply_alloc(struct apply *ap, const struct alloc *given);
void apply_alloc_stop(struct apply *ap, const struct alloc_stop *stop);
void apply_deployment(struct apply *ap, const struct deployment *given);
void apply_deployment_update(struct apply *ap, const struct deployment_update *u);

#endif
