/*
 * model.h: one table per object drives JSON in and out, job files, defaults, equality, copies,
 * differences and documentation.
 *
 * An object is a plain C struct; its table (struct model) says where each member lies, how it is
 * called in JSON (the Go names of Nomad's API) and in job files, and what it means. Objects live in
 * an arena and are never freed one by one. Text members may be NULL, which is the same as "".
 *
 *	static const struct field port_fields[] = {
 *		FIELDX(struct port, label, F_STR, "Label", .flags = MF_LABEL, .hcl = "label"),
 *		FIELD(struct port, value, F_INT, "Value"),
 *	};
 *	const struct model port_model = MODEL("Port", struct port, port_fields);
 *
 * A struct whose first member is `uint64_t set` and whose model is MODEL_SET remembers which
 * members were given (bit = index in the table), so that "0" and "nothing said" differ. Whoever
 * fills such a struct by hand need not care: a member with a value counts as given.
 */
#ifndef CODEC_MODEL_H
#define CODEC_MODEL_H

#include "base/arena.h"
#include "base/err.h"
#include "codec/any.h"
#include "codec/json.h"

enum field_type {
	F_STR,	    /* const char * */
	F_BOOL,	    /* bool */
	F_INT,	    /* int64_t; unsigned indexes too */
	F_FLOAT,    /* double */
	F_DURATION, /* int64_t, nanoseconds; JSON number, in job files "30s" or a number */
	F_TIME,	    /* int64_t, wall nanoseconds since 1970 (0: never); JSON RFC 3339 text */
	F_STRS,	    /* struct strs */
	F_INTS,	    /* struct ints */
	F_STRMAP,   /* struct strmap */
	F_STRSMAP,  /* struct strsmap: text -> list of texts */
	F_INTMAP,   /* struct intmap */
	F_BOOLMAP,  /* struct intmap, values true and false in JSON */
	F_FLOATMAP, /* struct floatmap */
	F_OBJ,	    /* struct x *, may be NULL */
	F_OBJS,	    /* struct objs */
	F_OBJMAP,   /* struct objmap */
	F_ANY,	    /* const struct any *, may be NULL */
};

struct strs {
	const char **at;
	size_t n;
};
struct ints {
	int64_t *at;
	size_t n;
};
struct strmap {
	const char **key, **value;
	size_t n;
};
struct strsmap {
	const char **key;
	struct strs *value;
	size_t n;
};
struct intmap {
	const char **key;
	int64_t *value;
	size_t n;
};
struct floatmap {
	const char **key;
	double *value;
	size_t n;
};
struct objs {
	void **at; /* never NULL inside */
	size_t n;
};
struct objmap {
	const char **key;
	void **value;
	size_t n;
};

/* struct task *t; OBJS_FOREACH (t, &group->tasks) { … }    break and continue work */
#define OBJS_FOREACH(p, list)                                                                      \
	for (size_t p##_i = 0; p##_i < (list)->n && ((p) = (list)->at[p##_i], true); p##_i++)

enum {
	MF_NULL =
	    1 << 0, /* JSON: null when nothing was given (scalars; lists and maps are so anyway) */
	MF_OMIT = 1 << 1,   /* JSON: left out while empty */
	MF_EMPTY = 1 << 2,  /* JSON: an empty list or map is [] or {}, not null; a NULL object {} */
	MF_LABEL = 1 << 3,  /* job file: the label of the block */
	MF_SERVER = 1 << 4, /* the cluster sets it; no part of what the user asked for */
	MF_KEY = 1 << 5,    /* names the object among its siblings: how differences pair lists */
	MF_SECRET = 1 << 6, /* never shown in differences */
	MF_REPLACE =
	    1 << 7, /* a change needs a new allocation, the running one cannot take it over */
};

/* What Potter does with a member that a job gives. docs/compatibility.md is made of this. */
enum field_status {
	FS_HONOURED = 0,
	FS_WARNED,  /* kept and shown, no effect: submitting prints a warning */
	FS_REFUSED, /* submitting fails and names it */
	FS_KEPT,    /* kept and shown for other tools; says nothing about running */
};

struct model;

struct field {
	const char *json; /* NULL: not in JSON */
	const char *hcl;  /* NULL: cannot be given in a job file */
	enum field_type type;
	enum field_status status;
	unsigned flags;
	size_t offset;
	const struct model *sub; /* F_OBJ, F_OBJS, F_OBJMAP */
	const char *def;	 /* default as text; NULL: the zero value */
	const char *doc;	 /* one line for people, units included */
};

enum { MODEL_FIELDS_MAX = 64 };

struct model {
	const char *name; /* as in messages and differences: "Task", "Service" */
	size_t size;
	const struct field *fields;
	size_t n;     /* at most MODEL_FIELDS_MAX */
	bool has_set; /* the struct begins with uint64_t set */
	const char *doc;
};

#define FIELD(owner, member, ftype, jname)                                                         \
	{                                                                                          \
		.json = (jname), .type = (ftype), .offset = offsetof(owner, member)                \
	}
#define FIELDX(owner, member, ftype, jname, ...)                                                   \
	{                                                                                          \
		.json = (jname), .type = (ftype), .offset = offsetof(owner, member), __VA_ARGS__   \
	}
#define MODEL(mname, owner, table)                                                                 \
	{                                                                                          \
		.name = (mname), .size = sizeof(owner), .fields = (table), .n = NELEM(table)       \
	}
#define MODEL_SET(mname, owner, table)                                                             \
	{                                                                                          \
		.name = (mname), .size = sizeof(owner), .fields = (table), .n = NELEM(table),      \
		.has_set = true                                                                    \
	}

/* An object in the arena: zeros, empty texts. What is read or copied has no NULL text either. */
void *model_new(const struct model *m, struct arena *a);

/* Fills *out (zeroed before). Names are taken as given, else without regard to case; unknown ones
 * are ignored, as Go does; null is "not given". Whole numbers may be written as floats, durations
 * also as text. Errors name the path: "TaskGroups[0].Count: expected a whole number, not a string".
 */
int model_from_json(
    const struct model *m, const json_t *v, struct arena *a, void *out, struct err *e);
/* The same from text; refuses what follows the value. */
int model_read(
    const struct model *m, const char *text, size_t len, struct arena *a, void *out, struct err *e);

void model_to_json(const struct model *m, const void *obj, struct jsonw *w); /* NULL: null */
/* The members only, for a reply that adds its own between jsonw_object() and jsonw_end_object(). */
void model_members_to_json(const struct model *m, const void *obj, struct jsonw *w);

void *model_copy(const struct model *m, const void *obj, struct arena *a); /* deep; NULL: NULL */
/* Deep, by value: which members were "given" does not count. skip: members with any of these flags.
 */
bool model_equal(const struct model *m, const void *a, const void *b);
bool model_equal_but(const struct model *m, const void *a, const void *b, unsigned skip);

const struct field *model_field(const struct model *m, const char *json);
void *field_at(const struct field *f, const void *obj);
bool field_empty(const struct field *f, const void *obj); /* zero, "", NULL, nothing in it */
bool field_given(const struct model *m, const struct field *f, const void *obj);
void field_mark(const struct model *m, const struct field *f, void *obj); /* now it is given */
bool field_equal(const struct field *f, const void *a, const void *b);
/* Sets the default where nothing was given, in obj alone (not in what it points to). */
void model_defaults(const struct model *m, void *obj);

/* Small builders, all copying into the arena. They grow lists that they, model_from_json() or
 * model_copy() made; a list whose array was made by hand is copied first. */
void strs_add(struct strs *l, struct arena *a, const char *s);
bool strs_has(const struct strs *l, const char *s);
void ints_add(struct ints *l, struct arena *a, int64_t n);
void strmap_set(struct strmap *m, struct arena *a, const char *key, const char *value);
const char *strmap_get(const struct strmap *m, const char *key);	      /* NULL: absent */
struct strs *strsmap_at(struct strsmap *m, struct arena *a, const char *key); /* made if absent */
void intmap_set(struct intmap *m, struct arena *a, const char *key, int64_t value);
int64_t *intmap_get(const struct intmap *m, const char *key); /* NULL: absent */
void floatmap_set(struct floatmap *m, struct arena *a, const char *key, double value);
void objs_add(struct objs *l, struct arena *a, void *obj); /* the pointer is kept, not a copy */
void objmap_set(struct objmap *m, struct arena *a, const char *key, void *obj);
void *objmap_get(const struct objmap *m, const char *key); /* NULL: absent */

#endif
