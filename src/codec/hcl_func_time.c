/*
 * hcl_func_time.c: functions on times and addresses.
 */
#include "codec/hcl_ast.h"

const struct hcl_function hcl_time_functions[] = {
	{ NULL, 0, 0, NULL },
};
