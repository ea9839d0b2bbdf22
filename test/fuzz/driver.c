/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A bounded, deterministic fuzz driver: mutates corpus files and random bytes with a fixed seed, so
 * that a failure repeats. The target is libFuzzer's function, so libFuzzer itself works too.
 * usage: fuzz_x RUNS [corpus file ..]; the built-in seed corpus is test/fuzz/corpus/<x>/ if it exists.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <glob.h>
#include <libgen.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAX_INPUT 8192
static uint64_t rng_state = 0x9e3779b97f4a7c15ull;

static uint64_t rng(void)
{
	rng_state ^= rng_state << 13;
	rng_state ^= rng_state >> 7;
	rng_state ^= rng_state << 17;
	return rng_state;
}

static size_t load(const char *path, uint8_t *buf)
{
	FILE *f = fopen(path, "rb");
	if (!f) {
		return 0;
	}
	size_t n = fread(buf, 1, MAX_INPUT, f);
	fclose(f);
	return n;
}

static size_t mutate(uint8_t *buf, size_t n)
{
	unsigned edits = 1 + (unsigned)(rng() % 8);
	while (edits-- && n) {
		size_t at = rng() % n;
		switch (rng() % 5) {
		case 0: buf[at] = (uint8_t)rng(); break;
		case 1: buf[at] ^= (uint8_t)(1u << (rng() % 8)); break;
		case 2: buf[at] = (rng() & 1) ? 0xff : 0; break;
		case 3: n = at + 1; break;
		default: memmove(buf + at, buf + rng() % n / 2, (n - at) / 2); break;
		}
	}
	return n;
}

int main(int argc, char **argv)
{
	static uint8_t buf[MAX_INPUT];
	char pattern[256];
	unsigned long runs = argc > 1 ? strtoul(argv[1], NULL, 0) : 1000;
	char *name = basename(argv[0]);
	snprintf(pattern, sizeof(pattern), "test/fuzz/corpus/%s/*", name + 5);
	glob_t seeds = { 0 };
	glob(pattern, 0, NULL, &seeds);
	for (size_t i = 0; i < seeds.gl_pathc; i++) {
		LLVMFuzzerTestOneInput(buf, load(seeds.gl_pathv[i], buf));
	}
	for (unsigned long r = 0; r < runs; r++) {
		size_t n = 0;
		if (seeds.gl_pathc && rng() % 4) {
			n = mutate(buf, load(seeds.gl_pathv[rng() % seeds.gl_pathc], buf));
		} else {
			n = rng() % 512;
			for (size_t i = 0; i < n; i++) {
				buf[i] = (uint8_t)rng();
			}
		}
		uint8_t *copy = malloc(n ? n : 1); /* exact size, so that ASan sees an overrun */
		memcpy(copy, buf, n);
		LLVMFuzzerTestOneInput(copy, n);
		free(copy);
	}
	printf("%s: %lu inputs, %zu seeds, ok\n", name, runs, seeds.gl_pathc);
	globfree(&seeds);
	return 0;
}
