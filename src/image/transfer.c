#include "image/source.h"

#include "base/clock.h"
#include "base/str.h"
#include "image/http.h"

#include <curl/curl.h>
#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * A download in pieces of a megabyte, over a few connections when the server knows ranges, the
 * foremost piece first, so that who reads can begin at once. Beside the file lies a note of the
 * pieces that are complete: 16 hex digits of the total, a newline, and one character for each. A
 * later run fetches what is missing. Whether the pieces belong together is not decided here: the
 * digest of the whole tells.
 */
enum {
	PIECE = 1 << 20,
	SEGMENT = 8,	  /* pieces asked for in one request */
	LEGS = 4,	  /* connections */
	TRIES = 5,	  /* failures in a row */
	WORTH = 16 << 10, /* new bytes that make a failure one after which something came */
	FIRST_PAUSE_MS = 100,
	NOTE_HEAD = 17
};
#define TOTAL_MAX HTTP_TOTAL_MAX

struct leg {
	struct transfer *x;
	CURL *easy;
	bool busy, judged; /* judged: the reply's head was looked at */
	bool useless;	   /* the reply's body is no part of the file */
	uint64_t at, end;  /* the next byte, and the one after the last; UINT64_MAX: all */
	size_t first, n;   /* pieces that are its */
	long status;
	char detail[CURL_ERROR_SIZE];
};

struct piece {
	uint32_t got; /* bytes, from its beginning */
	bool taken;   /* a leg is at it */
};

struct transfer {
	struct source *source;
	char *url;
	int fd, have_fd;
	CURLM *multi;
	struct leg legs[LEGS];
	struct piece *pieces;
	size_t n, front;   /* all before `front` are whole */
	uint64_t total;	   /* 0: not known */
	uint64_t position; /* bytes from the beginning, while the total is not known */
	struct tool *tool;
	uint64_t fresh; /* bytes since the last failure that were not there before it */
	bool plain;	/* the server knows no ranges: one connection */
	unsigned failures;
	int64_t not_before_ns;
	struct err why;
	atomic_bool stop;
	pthread_t thread;
};

static uint32_t
piece_size(const struct transfer *x, size_t i)
{
	uint64_t left = x->total - (uint64_t)i * PIECE;

	return left < PIECE ? (uint32_t)left : PIECE;
}

static bool
piece_whole(const struct transfer *x, size_t i)
{
	return x->pieces[i].got == piece_size(x, i);
}

static bool
all_there(const struct transfer *x)
{
	for (size_t i = x->front; i < x->n; i++)
		if (!piece_whole(x, i))
			return false;
	return x->total > 0;
}

/* Tells the readers how far they may go. */
static void
tell(struct transfer *x)
{
	uint64_t ready = x->position;

	if (x->n > 0) {
		while (x->front < x->n && piece_whole(x, x->front))
			x->front++;
		ready = x->front < x->n ? (uint64_t)x->front * PIECE + x->pieces[x->front].got
					: x->total;
	}
	source_grow(x->source, ready, x->total);
}

/* ---- the note of what is there ---- */

static void
note_start(struct transfer *x)
{
	char head[NOTE_HEAD + 1];

	snprintf(head, sizeof(head), "%016" PRIx64 "\n", x->total);
	if (ftruncate(x->have_fd, 0) == 0)
		(void)!pwrite(x->have_fd, head, NOTE_HEAD, 0);
}

static void
note_piece(struct transfer *x, size_t i)
{
	/* a lost note costs a piece fetched twice */
	(void)!pwrite(x->have_fd, "+", 1, NOTE_HEAD + (off_t)i);
}

static void
set_total(struct transfer *x, uint64_t total)
{
	x->total = total;
	x->n = (size_t)((total + PIECE - 1) / PIECE);
	x->pieces = xcalloc(x->n, sizeof(*x->pieces));
}

/* What an earlier run brought. */
static void
note_read(struct transfer *x)
{
	char head[NOTE_HEAD + 1] = "", *end;
	struct stat st;

	if (pread(x->have_fd, head, NOTE_HEAD, 0) != NOTE_HEAD || fstat(x->fd, &st) < 0)
		return;
	uint64_t total = strtoull(head, &end, 16);
	if (*end != '\n' || total == 0 || total > TOTAL_MAX)
		return;
	set_total(x, total);
	autofree char *marks = xcalloc(x->n + 1, 1);
	ssize_t n = pread(x->have_fd, marks, x->n, NOTE_HEAD);
	for (size_t i = 0; n > 0 && i < (size_t)n; i++)
		if (marks[i] == '+' &&
		    (uint64_t)st.st_size >= (uint64_t)i * PIECE + piece_size(x, i))
			x->pieces[i].got = piece_size(x, i);
}

/* ---- replies ---- */

static int
fail(struct transfer *x, enum err_kind kind, const char *why)
{
	if (x->why.kind == ERR_NONE)
		err_new(&x->why, kind, "get %s: %s", x->url, why);
	return -1;
}

static int
judge_part(struct leg *l)
{
	struct transfer *x = l->x;
	struct curl_header *h;
	uint64_t from, total;

	if (curl_easy_header(l->easy, "Content-Range", 0, CURLH_HEADER, -1, &h) != CURLHE_OK ||
	    !http_range(h->value, &from, &total) || from != l->at)
		return fail(x, ERR_REMOTE, "it answers with another range than was asked for");
	if (x->total != 0 && x->total != total)
		return fail(x, ERR_CORRUPT, "it changed while it was fetched");
	if (x->total == 0) {
		set_total(x, total);
		note_start(x);
		for (size_t i = l->first; i < l->first + l->n && i < x->n; i++)
			x->pieces[i].taken = true;
	}
	if (l->end > x->total)
		l->end = x->total;
	return 0;
}

static int
judge_whole(struct leg *l)
{
	struct transfer *x = l->x;
	curl_off_t length = -1;

	for (size_t i = 0; i < LEGS; i++)
		if (&x->legs[i] != l && x->legs[i].busy)
			return fail(x, ERR_REMOTE, "it answers ranges only now and then");
	curl_easy_getinfo(l->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
	x->plain = true;
	l->at = 0;
	l->end = UINT64_MAX;
	if (length > 0 && (uint64_t)length <= TOTAL_MAX) {
		if (x->total != (uint64_t)length) {
			free(x->pieces);
			set_total(x, (uint64_t)length);
			note_start(x);
		}
		l->end = x->total;
		l->first = 0;
		l->n = x->n;
	}
	return 0;
}

static int
judge(struct leg *l)
{
	l->judged = true;
	curl_easy_getinfo(l->easy, CURLINFO_RESPONSE_CODE, &l->status);
	l->useless = l->status >= 300;
	if (l->useless)
		return 0;
	return l->status == 206 ? judge_part(l) : judge_whole(l);
}

static void
count(struct leg *l, size_t len)
{
	struct transfer *x = l->x;

	while (len > 0 && x->total > 0) {
		size_t i = (size_t)(l->at / PIECE);
		uint32_t inside = (uint32_t)(l->at % PIECE), size = piece_size(x, i);
		uint32_t now = size - inside < len ? size - inside : (uint32_t)len;

		if (inside + now > x->pieces[i].got) {
			x->fresh += inside + now - x->pieces[i].got;
			x->pieces[i].got = inside + now;
			if (x->pieces[i].got == size)
				note_piece(x, i);
		}
		l->at += now;
		len -= now;
	}
	l->at += len;
	if (x->total == 0 && l->at > x->position) {
		x->fresh += l->at - x->position;
		x->position = l->at;
	}
	if (x->fresh >= WORTH)
		x->failures = 0;
}

static size_t
arrived(char *data, size_t one, size_t n, void *ctx)
{
	struct leg *l = ctx;
	struct transfer *x = l->x;
	size_t len = one * n, done = 0;

	if (!l->judged && judge(l) < 0)
		return 0;
	if (l->useless)
		return len;
	if (len > l->end - l->at) {
		fail(x, ERR_CORRUPT, "more arrives than was announced");
		return 0;
	}
	while (done < len) {
		ssize_t w = pwrite(x->fd, data + done, len - done, (off_t)(l->at + done));
		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0) {
			err_sys(&x->why, "write to the cache");
			return 0;
		}
		done += (size_t)w;
	}
	count(l, len);
	tell(x);
	return len;
}

/* ---- requests ---- */

/* The next pieces that nobody is at; false: none. */
static bool
choose(struct transfer *x, struct leg *l)
{
	size_t i = 0;

	if (x->total == 0) {
		l->first = 0;
		l->n = SEGMENT;
		l->at = 0;
		l->end = (uint64_t)SEGMENT * PIECE;
		return true;
	}
	while (i < x->n && (x->pieces[i].taken || piece_whole(x, i)))
		i++;
	if (i == x->n)
		return false;
	l->first = i;
	l->at = (uint64_t)i * PIECE + x->pieces[i].got;
	for (l->n = 0; l->n < SEGMENT && i < x->n && !x->pieces[i].taken && !piece_whole(x, i);
	     l->n++, i++) {
		if (l->n > 0 && x->pieces[i].got > 0)
			break; /* begun by a leg that failed: a request of its own */
		x->pieces[i].taken = true;
	}
	l->end = (uint64_t)(l->first + l->n) * PIECE;
	if (l->end > x->total)
		l->end = x->total;
	return true;
}

static void
launch(struct transfer *x, struct leg *l)
{
	char range[48];

	l->busy = true;
	l->judged = l->useless = false;
	l->status = 0;
	if (l->easy == NULL) {
		l->easy = curl_easy_init();
		http_options(l->easy, x->url);
		curl_easy_setopt(l->easy, CURLOPT_ERRORBUFFER, l->detail);
		curl_easy_setopt(l->easy, CURLOPT_WRITEFUNCTION, arrived);
		curl_easy_setopt(l->easy, CURLOPT_WRITEDATA, l);
		curl_easy_setopt(l->easy, CURLOPT_PRIVATE, l);
	}
	l->detail[0] = '\0';
	snprintf(range, sizeof(range), "%" PRIu64 "-%" PRIu64, l->at, l->end - 1);
	curl_easy_setopt(l->easy, CURLOPT_RANGE, x->plain ? NULL : range);
	curl_multi_add_handle(x->multi, l->easy);
}

static bool
any_busy(const struct transfer *x)
{
	for (size_t i = 0; i < LEGS; i++)
		if (x->legs[i].busy)
			return true;
	return false;
}

/* One request until the size and the server's abilities are known. */
static void
launch_more(struct transfer *x)
{
	if (clock_mono_ns() < x->not_before_ns)
		return;
	for (size_t i = 0; i < LEGS; i++) {
		struct leg *l = &x->legs[i];
		bool alone = x->plain || x->total == 0 || x->failures > 0;

		if (l->busy)
			continue;
		if ((alone && any_busy(x)) || !choose(x, l))
			return;
		launch(x, l);
	}
}

static bool
worth_another_try(const struct leg *l, CURLcode code)
{
	if (l->status >= 300)
		return l->status >= 500 || l->status == 408 || l->status == 429;
	return code != CURLE_UNSUPPORTED_PROTOCOL && code != CURLE_URL_MALFORMAT &&
	       code != CURLE_PEER_FAILED_VERIFICATION && code != CURLE_OUT_OF_MEMORY;
}

static void
landed(struct transfer *x, struct leg *l, CURLcode code)
{
	struct err e = ERR_INIT;

	curl_multi_remove_handle(x->multi, l->easy);
	l->busy = false;
	if (!l->judged && code == CURLE_OK && x->why.kind == ERR_NONE)
		(void)judge(l); /* a reply without a body */
	for (size_t i = l->first; i < l->first + l->n && i < x->n; i++)
		x->pieces[i].taken = false;
	if (x->why.kind != ERR_NONE)
		return;
	if (code == CURLE_OK && l->status < 300) {
		bool ended = l->end == UINT64_MAX;

		if (ended && l->at == 0)
			fail(x, ERR_CORRUPT, "it is empty");
		else if (ended)
			x->total = l->at;
		if (ended || l->at == l->end)
			return;
		err_new(&e, ERR_REMOTE, "get %s: it sends less than was asked for", x->url);
	} else if (l->status >= 300) {
		http_explain_status(l->status, x->url, &e);
	} else {
		http_explain(code, x->url, l->detail, &e);
	}
	x->fresh = 0;
	if (!worth_another_try(l, code) || ++x->failures >= TRIES) {
		x->why = e;
		return;
	}
	x->not_before_ns =
	    clock_mono_ns() + ((int64_t)FIRST_PAUSE_MS << (x->failures - 1)) * NS_PER_MS;
}

static int
pause_ms(const struct transfer *x)
{
	int64_t left = x->not_before_ns - clock_mono_ns();

	return left > 0 ? (int)(left / NS_PER_MS) + 1 : 1000;
}

/* Pieces are only counted where the size is known; without it the end of the reply is the end. */
static bool
finished(const struct transfer *x)
{
	return x->n == 0 ? x->total > 0 : all_there(x);
}

/* Waits for bytes, the next try, or the wish to stop: who reads waits for this thread alone. */
static void
await(struct transfer *x)
{
	struct curl_waitfd also[2] = { { .fd = tool_wake_fd(), .events = CURL_WAIT_POLLIN },
		{ .fd = x->tool->report.fd } };

	/* without a descriptor there is nobody to ask; poll() passes over it */
	curl_multi_poll(x->multi, also, NELEM(also), pause_ms(x), NULL);
	if (x->why.kind == ERR_NONE)
		(void)tool_unwanted(x->tool, &x->why);
}

static void *
transfer_all(void *ctx)
{
	struct transfer *x = ctx;
	int running, left;

	tell(x);
	while (x->why.kind == ERR_NONE && !finished(x) && !atomic_load(&x->stop)) {
		CURLMsg *m;

		launch_more(x);
		curl_multi_perform(x->multi, &running);
		bool ended = false;
		while ((m = curl_multi_info_read(x->multi, &left)) != NULL) {
			struct leg *l;

			if (m->msg != CURLMSG_DONE)
				continue;
			curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &l);
			landed(x, l, m->data.result);
			ended = true;
		}
		if (!ended)
			await(x);
	}
	if (x->why.kind != ERR_NONE) {
		source_fail(x->source, &x->why);
	} else if (finished(x)) {
		source_grow(x->source, x->total, x->total);
		source_complete(x->source);
	}
	return NULL;
}

int
transfer_start(struct source *s, const struct transfer_to *to, struct transfer **out, struct err *e)
{
	struct transfer *x = xcalloc(1, sizeof(*x));
	sigset_t before;

	x->source = s;
	x->url = xstrdup(to->url);
	x->tool = to->tool;
	x->fd = to->fd;
	x->have_fd = to->have_fd;
	for (size_t i = 0; i < LEGS; i++)
		x->legs[i].x = x;
	note_read(x);
	x->multi = curl_multi_init();
	threads_begin(&before);
	int rc = pthread_create(&x->thread, NULL, transfer_all, x);
	threads_end(&before);
	if (rc == 0) {
		*out = x;
		return 0;
	}
	errno = rc;
	err_sys(e, "start a thread");
	curl_multi_cleanup(x->multi);
	free(x->pieces);
	free(x->url);
	free(x);
	return -1;
}

void
transfer_end(struct transfer *x)
{
	if (x == NULL)
		return;
	atomic_store(&x->stop, true);
	curl_multi_wakeup(x->multi);
	pthread_join(x->thread, NULL);
	for (size_t i = 0; i < LEGS; i++) {
		if (x->legs[i].busy)
			curl_multi_remove_handle(x->multi, x->legs[i].easy);
		if (x->legs[i].easy != NULL)
			curl_easy_cleanup(x->legs[i].easy);
	}
	curl_multi_cleanup(x->multi);
	free(x->pieces);
	free(x->url);
	free(x);
}
