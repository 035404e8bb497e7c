/*
 * jobfile.h: between the files that read a job file. The folder's own.
 */
#ifndef JOB_JOBFILE_H
#define JOB_JOBFILE_H

#include "codec/hcl.h"
#include "job/job.h"

/* jobvars.c: the values of `variable`, `variables` and `locals` blocks, as the scope of the job.
 * Problems go to d. The scopes live in d's arena. */
const struct hcl_scope *jobvars_scope(
    const struct hcl_body *file, const struct job_vars *vars, struct hcl_diags *d);

#endif
