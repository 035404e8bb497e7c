#include "image/tool.h"

#include "base/str.h"
#include "image/http.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CONNECT_TIMEOUT_S = 10, STALLED_AFTER_S = 30, REDIRECTS_MAX = 5 };

/* One download on its way. */
struct getting {
	struct tool *tool;
	const char *what;
	download_sink *sink;
	void *ctx;
	CURL *curl;
	uint64_t done, total;
	struct err why; /* of the sink, or of a wish to stop */
	bool failed;
};

static void
tell(struct getting *x)
{
	if (x->what != NULL)
		report_progress(&x->tool->report, x->what, x->done, x->total);
}

/* ---- files ---- */

static int
read_file(struct getting *x, const char *path, struct err *e)
{
	char block[128 * 1024];
	struct stat st;
	autofd int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(e, "open %s", path);
	if (!S_ISREG(st.st_mode))
		return err_new(e, ERR_INPUT, "%s: is not a file", path);
	x->total = (uint64_t)st.st_size;
	for (;;) {
		ssize_t n = read(fd, block, sizeof(block));

		if (n < 0)
			return err_sys(e, "read %s", path);
		if (n == 0)
			return 0;
		if (tool_check(x->tool, e) < 0)
			return err_ctx(e, "read %s", path);
		x->done += (uint64_t)n;
		if (x->sink(x->ctx, block, (size_t)n, e) < 0)
			return -1;
		tell(x);
	}
}

/* ---- HTTP ---- */

static size_t
arrived(char *data, size_t one, size_t n, void *ctx)
{
	struct getting *x = ctx;
	long status = 0;
	curl_off_t total = 0;

	curl_easy_getinfo(x->curl, CURLINFO_RESPONSE_CODE, &status);
	if (status >= 300)
		return one * n; /* the text of an error page is of no use */
	curl_easy_getinfo(x->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &total);
	x->total = total > 0 ? (uint64_t)total : 0;
	x->done += one * n;
	if (x->sink(x->ctx, data, one * n, &x->why) < 0) {
		x->failed = true;
		return 0;
	}
	tell(x);
	return one * n;
}

static int
may_go_on(void *ctx, curl_off_t dltotal, curl_off_t dlnow, curl_off_t ultotal, curl_off_t ulnow)
{
	struct getting *x = ctx;

	(void)dltotal, (void)dlnow, (void)ultotal, (void)ulnow;
	if (tool_check(x->tool, &x->why) == 0)
		return 0;
	x->failed = true;
	return 1;
}

int
http_explain(CURLcode code, const char *url, const char *detail, struct err *e)
{
	const char *text = detail[0] != '\0' ? detail : curl_easy_strerror(code);

	switch (code) {
	case CURLE_PARTIAL_FILE:
	case CURLE_GOT_NOTHING:
	case CURLE_RECV_ERROR:
		return err_new(e, ERR_CORRUPT, "get %s: it ended early (%s)", url, text);
	case CURLE_OPERATION_TIMEDOUT:
		return err_new(e, ERR_TIMEOUT, "get %s: no answer in time (%s)", url, text);
	case CURLE_UNSUPPORTED_PROTOCOL:
	case CURLE_URL_MALFORMAT:
		return err_new(e, ERR_INPUT, "get %s: not a usable URL (%s)", url, text);
	case CURLE_PEER_FAILED_VERIFICATION:
		return err_new(e, ERR_REMOTE,
		    "get %s: it is not who it says (%s); this machine's certificates tell who "
		    "is to be believed",
		    url, text);
	case CURLE_OUT_OF_MEMORY:
		return err_new(e, ERR_FULL, "get %s: %s", url, text);
	default:
		return err_new(e, ERR_REMOTE, "get %s: cannot be reached (%s)", url, text);
	}
}

int
http_explain_status(long status, const char *url, struct err *e)
{
	if (status == 404 || status == 410)
		return err_new(
		    e, ERR_ABSENT, "get %s: there is no such file (HTTP status %ld)", url, status);
	if (status == 401 || status == 403)
		return err_new(e, ERR_RIGHTS, "get %s: refused (HTTP status %ld)", url, status);
	return err_new(e, ERR_REMOTE, "get %s: HTTP status %ld", url, status);
}

void
http_options(CURL *c, const char *url)
{
	curl_easy_setopt(c, CURLOPT_URL, url);
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_USERAGENT, "potter/" POTTER_VERSION);
	curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(c, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 1L);
	curl_easy_setopt(c, CURLOPT_MAXREDIRS, (long)REDIRECTS_MAX);
	curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_TIMEOUT_S);
	curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, (long)STALLED_AFTER_S);
	curl_easy_setopt(c, CURLOPT_BUFFERSIZE, 512L * 1024);
}

/* Digits up to `stop`; what follows it in *at. */
static bool
range_number(const char **at, const char *stop, uint64_t *out)
{
	char text[24];
	size_t len = strspn(*at, "0123456789");

	if (len == 0 || len >= sizeof(text) || strncmp(*at + len, stop, strlen(stop)) != 0)
		return false;
	memcpy(text, *at, len);
	text[len] = '\0';
	*at += len + strlen(stop);
	return str_u64(text, HTTP_TOTAL_MAX, out);
}

bool
http_range(const char *value, uint64_t *from, uint64_t *total)
{
	uint64_t first, last, all;

	if (!str_starts(value, "bytes "))
		return false;
	value += strlen("bytes ");
	if (!range_number(&value, "-", &first) || !range_number(&value, "/", &last) ||
	    !range_number(&value, "", &all) || *value != '\0' || first > last || last >= all)
		return false;
	*from = first;
	*total = all;
	return true;
}

static void
set_options(struct getting *x, const char *url, char detail[CURL_ERROR_SIZE])
{
	CURL *c = x->curl;

	http_options(c, url);
	curl_easy_setopt(c, CURLOPT_ERRORBUFFER, detail);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, arrived);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, x);
	curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, may_go_on);
	curl_easy_setopt(c, CURLOPT_XFERINFODATA, x);
}

static int
read_http(struct getting *x, const char *url, struct err *e)
{
	char detail[CURL_ERROR_SIZE] = "";
	long status = 0;

	x->curl = curl_easy_init();
	if (x->curl == NULL)
		return err_new(e, ERR_FULL, "get %s: libcurl does not start", url);
	set_options(x, url, detail);
	CURLcode code = curl_easy_perform(x->curl);
	curl_easy_getinfo(x->curl, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_cleanup(x->curl);
	if (x->failed) {
		*e = x->why;
		return err_ctx(e, "get %s", url);
	}
	if (code != CURLE_OK)
		return http_explain(code, url, detail, e);
	return status >= 300 ? http_explain_status(status, url, e) : 0;
}

int
download(struct tool *t, const char *url, const char *what, download_sink *sink, void *ctx,
    struct err *e)
{
	struct getting x = { .tool = t, .what = what, .sink = sink, .ctx = ctx, .why = ERR_INIT };

	if (str_starts(url, "http://") || str_starts(url, "https://"))
		return read_http(&x, url, e);
	if (str_starts(url, "file://localhost/"))
		return read_file(&x, url + strlen("file://localhost"), e);
	if (str_starts(url, "file://"))
		return read_file(&x, url[7] != '\0' ? url + 7 : ".", e);
	if (strstr(url, "://") != NULL)
		return err_new(e, ERR_UNSUPPORTED,
		    "get %s: only http://, https:// and file:// are known", url);
	return read_file(&x, url, e);
}
