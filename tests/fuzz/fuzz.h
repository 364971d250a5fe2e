/* What the harnesses share. Each is a libFuzzer target, and with replay.c a program of its own. */
#ifndef OCIPY_FUZZ_H
#define OCIPY_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define WORDS_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* How many operations have run: stub_operations.c counts. */
extern int steps_run;

/* Read each byte, so that a sanitizer sees which of them are not ours. */
static inline void look_at(const void *data, size_t size)
{
	volatile uint8_t sink = 0;

	for (size_t i = 0; i < size; i++)
		sink ^= ((const uint8_t *)data)[i];
	(void)sink;
}

/* The input with a NUL behind it; the caller frees it. */
static inline char *copy_of(const uint8_t *data, size_t size)
{
	char *copy = malloc(size + 1);

	if (!copy)
		abort();
	if (size)
		memcpy(copy, data, size);
	copy[size] = '\0';
	return copy;
}

/* Set @words to the NUL-terminated strings in @text, which has @size bytes and one NUL more. */
static inline int split_words(char *text, size_t size, char **words, int words_max)
{
	int count = 0;

	for (size_t at = 0; at < size && count < words_max; at += strlen(text + at) + 1)
		words[count++] = text + at;
	words[count] = NULL;
	return count;
}

#endif
