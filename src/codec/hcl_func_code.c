/*
 * hcl_func_code.c: functions that encode, decode and digest.
 */
#include "codec/hcl_ast.h"

const struct hcl_function hcl_code_functions[] = {
	{ NULL, 0, 0, NULL },
};
