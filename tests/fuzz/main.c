/*
 * main.c: drives a fuzz target without a fuzzer: each seed as it is, cut short at many places, and
 * with single bytes changed. Always the same inputs, so that a failure repeats.
 *
 * usage: fuzz-<name> DIRECTORY|FILE...
 */
#include "base/buf.h"

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv) __attribute__((weak));

enum { SEED_MAX = 1 << 20, VARIANTS = 200 };

/* A copy of exactly this size, so that the sanitizer sees a read beyond it. */
static void
try_input(const char *data, size_t len)
{
	autofree uint8_t *copy = xmalloc(len > 0 ? len : 1);

	if (len > 0)
		memcpy(copy, data, len);
	(void)LLVMFuzzerTestOneInput(copy, len);
}

static void
try_seed(const struct buf *seed)
{
	size_t step = seed->len / VARIANTS + 1;
	uint32_t dice = 2463534242u; /* xorshift: the same sequence each time */

	try_input(seed->data, seed->len);
	for (size_t i = 0; i < seed->len; i += step) {
		char was = seed->data[i];

		try_input(seed->data, i);
		dice ^= dice << 13, dice ^= dice >> 17, dice ^= dice << 5;
		seed->data[i] = (char)dice;
		try_input(seed->data, seed->len);
		seed->data[i] = was;
	}
}

static int
run_file(const char *path)
{
	autobuf struct buf seed = BUF_INIT;
	struct err e = ERR_INIT;

	if (buf_read_file(&seed, path, SEED_MAX, &e) < 0) {
		(void)fprintf(stderr, "%s\n", e.text);
		return 1;
	}
	try_seed(&seed);
	return 0;
}

static int
run_directory(const char *path)
{
	struct dirent **names = NULL;
	int n = scandir(path, &names, NULL, alphasort), failed = n < 0;

	for (int i = 0; i < n; i++) {
		if (names[i]->d_name[0] != '.') {
			autofree char *file = xasprintf("%s/%s", path, names[i]->d_name);

			failed |= run_file(file);
		}
		free(names[i]);
	}
	free(names);
	return failed;
}

int
main(int argc, char **argv)
{
	int failed = argc < 2;

	if (LLVMFuzzerInitialize != NULL)
		(void)LLVMFuzzerInitialize(&argc, &argv);
	for (int i = 1; i < argc; i++) {
		struct stat st;

		if (stat(argv[i], &st) < 0) {
			perror(argv[i]);
			failed = 1;
		} else
			failed |= S_ISDIR(st.st_mode) ? run_directory(argv[i]) : run_file(argv[i]);
	}
	return failed;
}
