#include "store/wal.h"

#include "base/buf.h"
#include "base/own.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

enum { WAL_HEADER = 32, FRAME_HEADER = 24, WAL_MAX = 256 << 20 };

struct wal {
	const unsigned char *salts;
	uint32_t page;
	bool big_endian; /* of the words that are summed */
	uint32_t sum[2];
};

static uint32_t
big32(const unsigned char *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static uint32_t
little32(const unsigned char *p)
{
	return (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0];
}

static void
add_sum(struct wal *w, const unsigned char *p, size_t len)
{
	for (size_t i = 0; i + 8 <= len; i += 8) {
		w->sum[0] += (w->big_endian ? big32(p + i) : little32(p + i)) + w->sum[1];
		w->sum[1] += (w->big_endian ? big32(p + i + 4) : little32(p + i + 4)) + w->sum[0];
	}
}

/* False: not a WAL that SQLite would read at all, so nothing in it was committed. */
static bool
read_header(struct wal *w, const unsigned char *p, size_t len)
{
	if (len < WAL_HEADER)
		return false;
	uint32_t magic = big32(p);
	*w = (struct wal){ .salts = p + 16, .page = big32(p + 8), .big_endian = magic & 1 };
	if ((magic & 0xfffffffeu) != 0x377f0682u || w->page < 512 || w->page > 65536 ||
	    (w->page & (w->page - 1)) != 0)
		return false;
	add_sum(w, p, 24);
	return w->sum[0] == big32(p + 24) && w->sum[1] == big32(p + 28);
}

static bool
frame_valid(struct wal *w, const unsigned char *frame)
{
	add_sum(w, frame, 8);
	add_sum(w, frame + FRAME_HEADER, w->page);
	return w->sum[0] == big32(frame + 16) && w->sum[1] == big32(frame + 20);
}

bool
wal_damaged(const void *data, size_t len)
{
	const unsigned char *p = data;
	struct wal w;
	bool valid = true;
	int ends_after_bad = 0;

	if (!read_header(&w, p, len))
		return false;
	const size_t stride = FRAME_HEADER + w.page;
	for (size_t at = WAL_HEADER; at + stride <= len; at += stride) {
		const unsigned char *frame = p + at;
		if (memcmp(frame + 8, w.salts, 8) != 0) { /* left from an older generation */
			valid = false;
			continue;
		}
		valid = valid && frame_valid(&w, frame);
		if (!valid && big32(frame + 4) != 0)
			ends_after_bad++;
	}
	return ends_after_bad >= 2;
}

int
wal_check(const char *db_path, bool *damaged, struct err *e)
{
	autofree char *path = xasprintf("%s-wal", db_path);
	autobuf struct buf b = BUF_INIT;
	autofd int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT) {
		*damaged = false;
		return 0;
	}
	if (fd < 0)
		return err_sys(e, "open %s", path);
	if (buf_read_fd(&b, fd, WAL_MAX, e) < 0)
		return err_ctx(e, "read %s", path);
	*damaged = wal_damaged(b.data, b.len);
	return 0;
}
