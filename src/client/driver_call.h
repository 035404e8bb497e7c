/* driver_call.h: requests to the runner whose answer is small, for the drivers. */
#ifndef CLIENT_DRIVER_CALL_H
#define CLIENT_DRIVER_CALL_H

#include "client/driver.h"

void driver_call_done(
    struct runner *r, const struct runner_request *req, driver_done *done, void *ctx);
void driver_call_ended(
    struct runner *r, const struct runner_request *req, driver_ended *ended, void *ctx);
void driver_call_usage(
    struct runner *r, const struct runner_request *req, driver_usage_fn *fn, void *ctx);
/* started(ctx, NULL, e, retry) at the end of this turn; *e is copied. */
void driver_refuse(
    struct runner *r, const struct err *e, bool retry, driver_started *started, void *ctx);

#endif
