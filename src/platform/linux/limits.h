#ifndef PLATFORM_LINUX_LIMITS_H
#define PLATFORM_LINUX_LIMITS_H

#include "platform/limits.h"

extern const struct limits_ops limits_linux;

#endif
