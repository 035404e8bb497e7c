#include "cli/progress.h"

#include "base/clock.h"
#include "base/str.h"
#include "cli/table.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

enum { BAR_MIN = 10, BAR_MAX = 40, RATE_AFTER_MS = 300, DAY_S = 24 * 3600 };

void
progress_step(struct progress *p, const char *what, uint64_t done, uint64_t total, int64_t now_ns)
{
	if (!str_eq(p->what, what) || done < p->done) {
		str_copy(p->what, sizeof(p->what), what);
		p->first = done;
		p->began_ns = now_ns;
	}
	p->done = done;
	p->total = total;
}

static void
add_time(struct buf *out, uint64_t seconds)
{
	if (seconds >= DAY_S)
		buf_adds(out, "  more than a day left");
	else if (seconds >= 3600)
		buf_addf(out, "  %" PRIu64 ":%02u:%02u left", seconds / 3600,
		    (unsigned)(seconds / 60 % 60), (unsigned)(seconds % 60));
	else
		buf_addf(out, "  %u:%02u left", (unsigned)(seconds / 60), (unsigned)(seconds % 60));
}

/* What stands behind the bar. */
static void
add_figures(const struct progress *p, int64_t now_ns, struct buf *out)
{
	char text[SIZE_TEXT];
	double seconds = (double)(now_ns - p->began_ns) / 1e9;

	buf_addf(out, " %s", size_text(p->done, text));
	if (p->total > 0)
		buf_addf(out, " of %s", size_text(p->total, text));
	if (seconds * 1000 < RATE_AFTER_MS || p->done <= p->first)
		return;
	double rate = (double)(p->done - p->first) / seconds;
	buf_addf(out, "  %s/s", size_text((uint64_t)rate, text));
	if (p->total > p->done && rate >= 1)
		add_time(out, (uint64_t)((double)(p->total - p->done) / rate + 0.5));
}

void
progress_text(const struct progress *p, int64_t now_ns, unsigned columns, struct buf *out)
{
	autobuf struct buf figures = BUF_INIT, line = BUF_INIT;

	add_figures(p, now_ns, &figures);
	buf_adds(&line, p->what);
	if (p->total > 0) {
		uint64_t done = p->done < p->total ? p->done : p->total;
		unsigned percent = (unsigned)((double)done * 100 / (double)p->total);

		buf_addf(&line, " %3u%%", percent);
		size_t taken = line.len + figures.len + strlen(" []");
		size_t room = columns > taken ? columns - taken : 0;
		if (room > BAR_MAX)
			room = BAR_MAX;
		if (room >= BAR_MIN) {
			size_t full = (size_t)((double)done * (double)room / (double)p->total);

			buf_adds(&line, " [");
			for (size_t i = 0; i < room; i++)
				buf_addc(&line, i < full ? '=' : i == full ? '>' : ' ');
			buf_addc(&line, ']');
		}
	}
	buf_add(&line, buf_str(&figures), figures.len);
	buf_add(out, line.data, line.len < columns ? line.len : columns);
}

static unsigned
terminal_width(void)
{
	struct winsize size;

	return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col - 1U
									       : 79U;
}

void
progress_show(struct progress *p)
{
	autobuf struct buf line = BUF_INIT;

	if (!isatty(STDERR_FILENO))
		return;
	progress_text(p, clock_mono_ns(), terminal_width(), &line);
	fprintf(stderr, "\r%s\033[K", buf_str(&line));
	fflush(stderr);
	p->shown = true;
}

void
progress_clear(struct progress *p)
{
	if (!p->shown)
		return;
	fputs("\r\033[K", stderr);
	fflush(stderr);
	p->shown = false;
}
