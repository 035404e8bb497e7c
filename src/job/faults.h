/*
 * faults.h: a growing list of sentences, printed as Nomad prints several errors. The folder's own.
 */
#ifndef JOB_FAULTS_H
#define JOB_FAULTS_H

#include "job/job.h"

struct faults {
	struct arena *mem;
	struct strs lines;
};

void faults_add(struct faults *f, const char *fmt, ...) PRINTFLIKE(2, 3);
/* "2 errors occurred:\n\t* …\n\t* …\n\n"; "" without any */
const char *faults_text(const struct faults *f);
/* Adds "<heading>: <the other's text>" unless the other is empty. */
void faults_nest(struct faults *f, const struct faults *inner, const char *fmt, ...)
    PRINTFLIKE(3, 4);

/* Names each member that was given and whose row has this status, in obj and below. */
void faults_by_status(
    struct faults *f, const struct model *m, const void *obj, enum field_status status);

/* validate_service.c: services and ports of a group and of its tasks. */
void service_faults(struct faults *f, const struct service *s);
void group_service_faults(struct faults *f, const struct task_group *g);
void task_service_faults(struct faults *f, const struct task *t, const struct task_group *g);
void network_faults(struct faults *f, const struct task_group *g);

/* validate_policy.c */
void constraint_faults(struct faults *f, const struct constraint *c);
void affinity_faults(struct faults *f, const struct affinity *a);
void spread_faults(struct faults *f, const struct spread *s);
void restart_faults(struct faults *f, const struct restart_policy *r);
void reschedule_faults(struct faults *f, const struct reschedule_policy *r);
void update_faults(struct faults *f, const struct update_strategy *u);
void migrate_faults(struct faults *f, const struct migrate_strategy *m);

#endif
