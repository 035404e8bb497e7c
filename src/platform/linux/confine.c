#include "platform/confine.h"

bool
confine_possible(void)
{
	return false;
}

int
confine_enter(const unsigned may[], size_t n, struct err *e)
{
	(void)may;
	(void)n;
	return err_new(e, ERR_UNSUPPORTED, "give up all but the descriptors: not on this system");
}
