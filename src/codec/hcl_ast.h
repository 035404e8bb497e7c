/*
 * hcl_ast.h: the tree of an expression. The folder's own.
 */
#ifndef CODEC_HCL_AST_H
#define CODEC_HCL_AST_H

#include "codec/hcl.h"

enum hcl_kind {
	X_LITERAL,  /* value */
	X_TEMPLATE, /* parts; also the branches of directives */
	X_NAME,	    /* name */
	X_ATTR,	    /* a.name */
	X_INDEX,    /* a[b] */
	X_SPLAT,    /* a.*.…, a[*].…: b is the rest, over X_ITEM */
	X_ITEM,	    /* the element inside a splat */
	X_CALL,	    /* name(parts), expand: the last with ... */
	X_UNARY,    /* op a */
	X_BINARY,   /* a op b */
	X_COND,	    /* a ? b : c; also %{if} */
	X_TUPLE,    /* parts */
	X_OBJECT,   /* parts: key, value, key, value … */
	X_FOR,	    /* [for name, value_name in a : b if c], {… key => b}, %{for} */
};

enum hcl_op {
	OP_OR = 1,
	OP_AND,
	OP_EQ,
	OP_NE,
	OP_LT,
	OP_LE,
	OP_GT,
	OP_GE,
	OP_ADD,
	OP_SUB,
	OP_MUL,
	OP_DIV,
	OP_MOD,
	OP_NOT,
	OP_NEG
};

struct hcl_expr {
	enum hcl_kind kind;
	enum hcl_op op;
	struct hcl_range at;
	const char *name, *value_name;
	struct any *value;
	struct hcl_expr *a, *b, *c, *key;
	struct hcl_expr **parts;
	size_t n;
	bool expand;  /* X_CALL: the last argument is a list of arguments; X_FOR: values are grouped
		       */
	bool is_map;  /* X_FOR gives a map */
	bool is_text; /* X_FOR, X_COND inside a template: results are joined */
	bool wrapped; /* X_TEMPLATE of one interpolation: keeps the type of its value */
	bool in_parens; /* an object's key (x) */
};

enum {
	HCL_DEPTH_MAX = 100, /* nesting of expressions and bodies */
	HCL_ATTRS_MAX = 5000 /* arguments of a body, attributes of an object */
};

struct hcl_parser {
	const struct hcl_source *src;
	struct arena *mem;
	struct hcl_diags *diags;
	size_t at;
	int line, column;
	int quiet_newlines; /* > 0: newlines are blanks */
	int depth;
	bool failed;
};

struct hcl_mark {
	size_t at;
	int line, column;
};

struct hcl_mark hcl_here(const struct hcl_parser *p);
struct hcl_range hcl_since(const struct hcl_parser *p, struct hcl_mark from);
int hcl_peek(const struct hcl_parser *p, size_t ahead); /* -1 at the end */
void hcl_step(struct hcl_parser *p, size_t bytes);
void hcl_blanks(struct hcl_parser *p);
void hcl_blank_lines(struct hcl_parser *p);
bool hcl_ident_start(int c);
struct hcl_range hcl_next_char(const struct hcl_parser *p);
void *hcl_fail(struct hcl_parser *p, struct hcl_range at, const char *summary, const char *fmt, ...)
    PRINTFLIKE(4, 5); /* NULL; only the first syntax error counts */
struct hcl_expr *hcl_new(struct hcl_parser *p, enum hcl_kind kind, struct hcl_mark from);
void hcl_add_part(struct hcl_parser *p, struct hcl_expr *x, struct hcl_expr *part);
struct hcl_expr *hcl_expression(struct hcl_parser *p);
const char *hcl_identifier(struct hcl_parser *p); /* NULL: none here */
bool hcl_for_intro(
    struct hcl_parser *p, struct hcl_expr *x); /* after "for": names, in, collection */

/* hcl_template.c: at the opening quote, or at <<. */
struct hcl_expr *hcl_quoted(struct hcl_parser *p);
struct hcl_expr *hcl_heredoc(struct hcl_parser *p);
/* A quoted text without templates, as labels are; NULL after a failure. */
const char *hcl_plain_quoted(struct hcl_parser *p);

/* hcl_func*.c */
struct hcl_call {
	struct arena *mem;
	struct any **args;
	size_t n;
	char why[256]; /* filled in by a function that fails */
};
typedef struct any *hcl_fn(struct hcl_call *c);
struct hcl_function {
	const char *name;
	int min, max; /* arguments; max -1: any number */
	hcl_fn *fn;
};
extern const struct hcl_function hcl_text_functions[], hcl_list_functions[], hcl_code_functions[],
    hcl_time_functions[]; /* each ended by a NULL name */
const struct hcl_function *hcl_function_named(const char *name);
const char *hcl_function_like(const char *name); /* for "Did you mean" */

/* Conversions; NULL: impossible. */
struct any *hcl_to_string(struct arena *a, struct any *v);
struct any *hcl_to_number(struct arena *a, struct any *v);
struct any *hcl_to_bool(struct arena *a, struct any *v);

struct any *hcl_fault(struct hcl_call *c, const char *fmt, ...) PRINTFLIKE(2, 3); /* NULL */

#endif
