/*
 * frames.h: streams of JSON objects, one after the other: {"Offset":…,"Data":"<base64>","File":…}.
 * A frame {} each second keeps the line alive. Private to api/.
 */
#ifndef API_FRAMES_H
#define API_FRAMES_H

#include "api/call.h"

struct frames {
	struct call *call;
	bool plain; /* the bytes alone */
	bool quiet; /* nothing since the last heartbeat */
	struct loop_timer *beat;
	loop_fn *on_beat; /* each second; may end the stream */
	void *on_beat_ctx;
};

enum { FRAME_BYTES = 64 * 1024, FRAMES_PENDING = 512 * 1024 };

/* Answers with a stream. */
void frames_start(struct frames *f, struct call *c, bool plain);
void frames_send(struct frames *f, const char *file, int64_t offset, const void *data, size_t len,
    const char *event);
bool frames_full(const struct frames *f); /* the reader is behind */
void frames_stop(struct frames *f);	  /* frees what it holds; the answer is not ended */

#endif
