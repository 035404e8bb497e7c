/*
 * hcl.h: HCL's native syntax: bodies, expressions, templates; and bodies into tables of model.h.
 *
 * Source: HCL Native Syntax Specification (hclsyntax/spec.md of HCL 2). Parsing gives a tree that
 * lives in an arena and borrows the text, which must stay. All problems are collected as
 * diagnostics with file, line and column; a syntax error ends the parsing of its file, mistakes of
 * meaning do not.
 *
 * References to names that nobody defined are no error: they evaluate to their own text,
 * "${node.class}", for whoever places or starts the task.
 */
#ifndef CODEC_HCL_H
#define CODEC_HCL_H

#include "codec/any.h"
#include "codec/model.h"

/* A place in a file; lines and columns count from 1, columns in characters. */
struct hcl_range {
	const struct hcl_source *source;
	int line, column, end_line, end_column;
	size_t start, end; /* bytes */
};

struct hcl_source {
	const char *name, *text;
	size_t len;
};

struct hcl_diag {
	struct hcl_range at;
	const char *summary, *detail;
};

enum { HCL_DIAGS_MAX = 20 }; /* kept; the rest is counted */

struct hcl_diags {
	struct arena *mem;
	struct hcl_diag list[HCL_DIAGS_MAX];
	size_t n; /* how many there were */
};

void hcl_error(struct hcl_diags *d, struct hcl_range at, const char *summary, const char *fmt, ...)
    PRINTFLIKE(4, 5);
/* "web.nomad:3,5-10: Unsupported argument; An argument named "x" is not expected here." */
const char *hcl_diag_line(const struct hcl_diags *d, size_t i);
/* All of them, each with its line of the file and a caret. */
const char *hcl_diags_report(const struct hcl_diags *d);
/* The first one (and how many more) as an error. Returns -1; only when d->n > 0. */
int hcl_diags_err(const struct hcl_diags *d, struct err *e);

struct hcl_expr; /* see hcl_ast.h */

struct hcl_attr {
	const char *name;
	struct hcl_range name_at;
	struct hcl_expr *value;
};

struct hcl_body {
	struct hcl_attr *attrs;
	struct hcl_block *blocks; /* in the order of the file */
	size_t n_attrs, n_blocks;
	struct hcl_range end; /* the closing brace, or the end of the file */
};

struct hcl_block {
	const char *type;
	struct hcl_range type_at;
	const char **labels;
	struct hcl_range *labels_at;
	size_t n_labels;
	struct hcl_body body;
};

/* Names that expressions may use; the inner one hides the outer. */
struct hcl_scope {
	const struct hcl_scope *up;
	const char *name;
	struct any *value;
};

/* NULL when there was a syntax error (in d). */
struct hcl_body *hcl_parse(const struct hcl_source *src, struct arena *a, struct hcl_diags *d);
/* One expression alone, as in -var name=expression. */
struct hcl_expr *hcl_parse_expr(const struct hcl_source *src, struct arena *a, struct hcl_diags *d);

struct hcl_range hcl_expr_range(const struct hcl_expr *x);
/* The value; NULL after an error (in d). */
struct any *hcl_eval(const struct hcl_expr *x, const struct hcl_scope *scope, struct hcl_diags *d);
/* A keyword-like expression (as `type = string`): its bare name, or NULL. */
const char *hcl_keyword(const struct hcl_expr *x);
/* A call as `list(string)`: its name, and its arguments; NULL when it is none. */
const char *hcl_call(const struct hcl_expr *x, struct hcl_expr *const **args, size_t *n);
/* Type expressions: string, number, bool, any, and list, set, map, object and tuple of such. */
bool hcl_type_ok(const struct hcl_expr *type);
/* The value as the type wants it, or NULL. null fits any type; a NULL type changes nothing. */
struct any *hcl_convert(const struct hcl_expr *type, struct any *v, struct arena *a);
const struct hcl_attr *hcl_find_attr(const struct hcl_body *b, const char *name);

/* Why a function is not there, or NULL when the name is unknown altogether. */
const char *hcl_function_refused(const char *name);
/* All functions by number, those that are refused with the reason; NULL after the last. */
const char *hcl_function_at(size_t i, const char **refused);

/* --- bodies by tables --- */

struct hcl_decoder {
	struct hcl_diags *diags;
	struct arena *mem;
	void *ctx;
	/* May take what the table does not know; true: taken. NULL: nothing special. */
	bool (*attr)(struct hcl_decoder *d, const struct model *m, void *obj,
	    const struct hcl_attr *attr, const struct hcl_scope *scope);
	bool (*block)(struct hcl_decoder *d, const struct model *m, void *obj,
	    const struct hcl_block *block, const struct hcl_scope *scope);
};

/* Fills obj; what is wrong goes to d->diags. labels of the block itself are set by the caller or by
 * hcl_decode_block(). */
void hcl_decode(struct hcl_decoder *d, const struct model *m, void *obj,
    const struct hcl_body *body, const struct hcl_scope *scope);
/* A new object from a block with its label. */
void *hcl_decode_block(struct hcl_decoder *d, const struct model *m, const struct hcl_block *block,
    const struct hcl_scope *scope);
/* A body without a table: a map; nested blocks become lists of maps, labels maps around them.
 * As Nomad has it: an argument that is a map becomes a list of one map too, null is left out. */
struct any *hcl_decode_any(
    struct hcl_decoder *d, const struct hcl_body *body, const struct hcl_scope *scope);
/* value as a member's value; false after an error at `at`. */
bool hcl_set_field(struct hcl_decoder *d, const struct model *m, const struct field *f, void *obj,
    const struct any *value, struct hcl_range at);

#endif
