/* An image, also as a layer upon some files: whatever it holds, nothing outside its directories is
 * touched, and after a refusal of one that stands alone they are gone. */
#include "image/source.h"
#include "image/tool.h"
#include "image/verbs.h"

#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

static char top[64];

static char *
at(const char *name)
{
	static char paths[8][128];
	static unsigned n;
	char *p = paths[n++ % 8];

	snprintf(p, sizeof(paths[0]), "%s/%s", top, name);
	return p;
}

static void
put(const char *name, const char *text)
{
	autofd int fd = open(at(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
}

static void
begin(const uint8_t *data, size_t size)
{
	strcpy(top, "/tmp/fuzz-image.XXXXXX");
	assert(mkdtemp(top) != NULL);
	assert(mkdir(at("outside"), 0755) == 0);
	put("outside/victim", "whole");
	autofd int fd = open(at("image"), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	assert(fd >= 0 && write(fd, data, size) == (ssize_t)size);
}

static void
check(void)
{
	char text[8] = "";
	struct stat st;
	autofd int fd = open(at("outside/victim"), O_RDONLY | O_CLOEXEC);

	assert(fd >= 0 && read(fd, text, sizeof(text) - 1) == 5 && strcmp(text, "whole") == 0);
	assert(stat(at("outside"), &st) == 0 && st.st_nlink == 2);
}

static void
try(struct tool *t, bool layer)
{
	struct import what = { .conf_dir = at("conf"), .root_dir = at("root"), .layer = layer };
	char conf[128], root[128];
	struct source s;
	struct stat st;
	struct err e;

	strcpy(conf, what.conf_dir);
	strcpy(root, what.root_dir);
	what.conf_dir = conf;
	what.root_dir = root;
	if (layer) {
		assert(mkdir(root, 0755) == 0 && symlink(at("outside"), at("root/way")) == 0);
		put("root/file", "below");
	}
	assert(source_open(&s, at("image"), &e) == 0);
	int rc = unpack_source(t, &s, "image", &what, &e);
	source_fini(&s);
	if (rc < 0 && !layer)
		assert(stat(root, &st) < 0 && stat(conf, &st) < 0);
	check();
	tree_clear(root, true);
	tree_clear(conf, true);
}

/* Where xz is expanded by a process of its own, that is this program again. */
int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	if (*argc == 4 && strcmp((*argv)[3], "expand") == 0)
		exit(image_main(*argc, *argv));
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tool t = { .max_bytes = 1 << 20, .max_entries = 100 };
	autofd int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	autofd int here = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC); /* unpacking leaves it */

	begin(data, size);
	report_open(&t.report, null);
	try(&t, false);
	try(&t, true);
	assert(fchdir(here) == 0);
	tree_clear(top, true);
	return 0;
}
