/*
 * wire.h: bytes between our own processes: frames that hold tagged fields.
 *
 * A frame is a length (4 bytes, big-endian, of what follows) and a body. A body is a version byte,
 * a zero byte, a kind (2 bytes), an id (8 bytes) and fields; a field is a tag (2 bytes), a length
 * (4 bytes) and its bytes; a field may hold fields again. All numbers are big-endian. Readers skip
 * tags that they do not know, and refuse versions that they do not know. A body is at most WIRE_MAX
 * bytes, so a hostile peer can neither make us allocate nor wait without bound.
 *
 * Used between pot, keeper, runner, monitor and agent. The format is described in
 * docs/formats/wire.md.
 */
#ifndef CODEC_WIRE_H
#define CODEC_WIRE_H

#include "base/arena.h"
#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>

enum {
	WIRE_VERSION = 1,
	WIRE_HEAD = 12,
	WIRE_MAX = 1 << 20,
	WIRE_FDS_MAX = 4,
	WIRE_ITEMS_MAX = 16384
};

/* ---- writing: a body grows in a buf ---- */
void wire_begin(struct buf *b, uint16_t kind, uint64_t id); /* empties b first */
void wire_u64(struct buf *b, uint16_t tag, uint64_t v);
void wire_i64(struct buf *b, uint16_t tag, int64_t v);
void wire_bool(struct buf *b, uint16_t tag, bool v);
void wire_str(struct buf *b, uint16_t tag, const char *s); /* NULL: nothing is written */
void wire_bytes(struct buf *b, uint16_t tag, const void *p, size_t n);
/* One field per string; a NULL list writes nothing. */
void wire_strs(struct buf *b, uint16_t tag, const char *const *list_ended_by_null);
size_t wire_open(struct buf *b, uint16_t tag); /* a field with fields inside … */
void wire_shut(struct buf *b, size_t opened);  /* … ends here */
void wire_err(struct buf *b, uint16_t tag, const struct err *failure);

/* ---- reading: fields point into the body, which must outlive them ---- */
struct wire_head {
	uint16_t kind;
	uint64_t id;
};
struct wire_reader {
	const uint8_t *at, *end;
};
struct wire_field {
	uint16_t tag;
	uint32_t len;
	const uint8_t *data;
};
int wire_read(
    const void *body, size_t len, struct wire_head *head, struct wire_reader *r, struct err *e);
int wire_next(
    struct wire_reader *r, struct wire_field *f, struct err *e); /* 1: a field; 0: the end */
struct wire_reader wire_inside(const struct wire_field *f);
int wire_get_u64(const struct wire_field *f, uint64_t *v, struct err *e);
int wire_get_i64(const struct wire_field *f, int64_t *v, struct err *e);
int wire_get_int(const struct wire_field *f, int min, int max, int *v, struct err *e);
int wire_get_bool(const struct wire_field *f, bool *v, struct err *e);
/* Refuses a NUL inside; the copy lives in the arena. */
int wire_get_str(const struct wire_field *f, struct arena *a, char **v, struct err *e);
int wire_get_err(const struct wire_field *f, struct err *failure, struct err *e);

/* A list of strings gathered field by field, ended by NULL; memory of the arena. */
struct wire_list {
	char **at;
	size_t n, cap;
};
int wire_list_add(struct wire_list *l, const struct wire_field *f, struct arena *a, struct err *e);

/* ---- one table for both directions ---- */
enum wire_type {
	WIRE_STR,   /* const char *; absent: NULL */
	WIRE_STRS,  /* const char *const *, ended by NULL; empty: NULL */
	WIRE_BOOL,  /* bool */
	WIRE_INT,   /* int, unsigned or an enum, between min and max */
	WIRE_U32,   /* uint32_t */
	WIRE_I64,   /* int64_t */
	WIRE_U64,   /* uint64_t */
	WIRE_BYTES, /* const char *, with a size_t at `count`; a NUL follows that does not count */
	WIRE_ITEMS, /* pointer to an array of `size` each, its size_t count at `count`, rows in sub
		     */
	WIRE_ERR    /* struct err */
};
struct wire_row {
	uint16_t tag;
	uint16_t type;
	uint32_t offset;
	uint32_t count; /* BYTES, ITEMS: offset of the size_t */
	uint32_t size;	/* ITEMS: of one */
	int32_t min,
	    max; /* INT: bounds; ITEMS, STRS: max is how many at most (0: WIRE_ITEMS_MAX) */
	const struct wire_row *sub; /* ITEMS; rows end with type 0 and tag 0 */
};
#define WIRE_ROW(tag_, type_, struct_, member_)                                                    \
	{                                                                                          \
		.tag = (tag_), .type = (type_), .offset = offsetof(struct_, member_)               \
	}
#define WIRE_ROW_INT(tag_, struct_, member_, min_, max_)                                           \
	{                                                                                          \
		.tag = (tag_), .type = WIRE_INT, .offset = offsetof(struct_, member_),             \
		.min = (min_), .max = (max_)                                                       \
	}
#define WIRE_ROW_BYTES(tag_, struct_, member_, count_)                                             \
	{                                                                                          \
		.tag = (tag_), .type = WIRE_BYTES, .offset = offsetof(struct_, member_),           \
		.count = offsetof(struct_, count_)                                                 \
	}
#define WIRE_ROW_ITEMS(tag_, struct_, member_, count_, item_, sub_, max_)                          \
	{                                                                                          \
		.tag = (tag_), .type = WIRE_ITEMS, .offset = offsetof(struct_, member_),           \
		.count = offsetof(struct_, count_), .size = sizeof(item_), .sub = (sub_),          \
		.max = (max_)                                                                      \
	}
#define WIRE_ROWS_END                                                                              \
	{                                                                                          \
		.tag = 0                                                                           \
	}

/* Zero values are left out; taking leaves absent members as they are. Tags start at 1. */
void wire_put(struct buf *b, const struct wire_row *rows, const void *object);
int wire_take(struct wire_reader *r, const struct wire_row *rows, struct arena *a, void *object,
    struct err *e);

/* ---- frames over a stream socket or pipe that blocks ---- */
/* Sends one frame, with up to WIRE_FDS_MAX descriptors (sockets only), whose ownership stays. */
int wire_send(int fd, const struct buf *body, const int *fds, size_t n_fds, struct err *e);
/* Receives one frame into body. 1: a frame; 0: the peer closed; -1: failure. Descriptors that came
 * with it are close-on-exec and the caller's; *n_fds is room before and count after. Without room
 * they are closed. */
int wire_recv(int fd, struct buf *body, int *fds, size_t *n_fds, struct err *e);

/* ---- frames out of bytes that an event loop read ---- */
/* 1: *body and *len name the first frame's body inside `in`, to be dropped with
 * buf_drop(in, 4 + *len) after use; 0: more bytes are needed; -1: the length is out of bounds. */
int wire_frame(const struct buf *in, const void **body, size_t *len, struct err *e);
/* Reads what is there on a socket that does not block, descriptors appended to fds (*n_fds: how
 * many there are, room: how many fit; more are closed). 1: something came; 0: the peer closed; 2:
 * nothing now. Descriptors arrive in the order of the frames that carry them. */
int wire_fill(int fd, struct buf *in, int *fds, size_t *n_fds, size_t room, struct err *e);
/* Appends a frame around body to out. */
void wire_frame_add(struct buf *out, const struct buf *body);

#endif
