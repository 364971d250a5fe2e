/*
 * The launcher, wherever it is installed and whatever it is called with: it execs the interpreter with
 * the caller's arguments as they are, or says what is missing.
 *
 * The input is words ended by NUL: where /proc/self/exe leads, LC_CTYPE (empty: unset), pyvenv.cfg,
 * answers of access(2) ('y' or not, one after the other), what realpath(3) answers, and the arguments.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/auxv.h>
#include <sys/types.h>
#include <unistd.h>
#include <fcntl.h>
#include <limits.h>
#include <errno.h>

#include "fuzz.h"

enum { EXE, LC_ALL_WORD, PYVENV, ANSWERS, REAL, ARGUMENTS };

int steps_run;

static struct {
	char *words[WORDS_MAX + 1];
	int count;
	const char *answer;
	jmp_buf ended;
} input;

static const char *word(int number)
{
	return number < input.count ? input.words[number] : "";
}

static ssize_t copy_word(char *out, size_t room, const char *text)
{
	size_t length = strlen(text) < room ? strlen(text) : room;

	memcpy(out, text, length);
	return (ssize_t)length;
}

static ssize_t fuzz_readlink(const char *path, char *out, size_t room)
{
	look_at(path, strlen(path));
	if (!*word(EXE)) {
		errno = ENOENT;
		return -1;
	}
	return copy_word(out, room, word(EXE));
}

static int fuzz_access(const char *path, int mode)
{
	(void)mode;
	look_at(path, strlen(path));
	return *input.answer && *input.answer++ == 'y' ? 0 : -1;
}

static int fuzz_open(const char *path, int flags)
{
	(void)flags;
	look_at(path, strlen(path));
	return *word(PYVENV) ? 3 : -1;
}

static ssize_t fuzz_read(int fd, void *out, size_t room)
{
	(void)fd;
	return copy_word(out, room, word(PYVENV));
}

static char *fuzz_realpath(const char *path, char *out)
{
	size_t length = strlen(word(REAL));

	look_at(path, strlen(path));
	if (!length || length >= PATH_MAX)
		return NULL;
	memcpy(out, word(REAL), length + 1);
	return out;
}

static char *fuzz_getenv(const char *name)
{
	return strcmp(name, "LC_ALL") == 0 && *word(LC_ALL_WORD) ? input.words[LC_ALL_WORD] : NULL;
}

static int fuzz_setenv(const char *name, const char *value, int overwrite)
{
	(void)overwrite;
	return strcmp(name, "LC_ALL") == 0 && strcmp(value, "C") == 0 ? 0 : -1;
}

static _Noreturn void fuzz_exit(int status)
{
	longjmp(input.ended, status + 1);
}

/* Whatever is in front, behind it are the arguments of the caller, each as it was. */
static int fuzz_execv(const char *path, char *const *argv)
{
	int count = 0, given = input.count > ARGUMENTS ? input.count - ARGUMENTS : 0;

	look_at(path, strlen(path));
	while (argv[count])
		look_at(argv[count], strlen(argv[count])), count++;
	if (count < given + 7 || strcmp(argv[1], "-I") != 0 || strcmp(argv[2], "-S") != 0)
		abort();
	for (int i = 0; i < given; i++)
		if (argv[count - given + i] != input.words[ARGUMENTS + i])
			abort();
	fuzz_exit(0);
}

static void fuzz_dprintf(int fd, const char *format, ...)
{
	char text[64];
	va_list args;

	(void)fd;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
}

#define readlink fuzz_readlink
#define access fuzz_access
#define open fuzz_open
#define read fuzz_read
#define close(fd) (void)(fd)
#define realpath fuzz_realpath
#define getenv fuzz_getenv
#define setenv fuzz_setenv
#define getauxval(type) 0
#define execv fuzz_execv
#define _exit fuzz_exit
#define dprintf fuzz_dprintf
#define main launcher_main
/* main() may end without a value, and no other function may. */
#pragma GCC diagnostic ignored "-Wreturn-type"
#include "launcher.c"
#undef main

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char name[] = "ocipy", *text = copy_of(data, size), *argv[WORDS_MAX + 2] = { name };

	input.count = split_words(text, size, input.words, WORDS_MAX);
	input.answer = word(ANSWERS);
	if (input.count > ARGUMENTS)
		memcpy(argv + 1, input.words + ARGUMENTS, sizeof(char *) * (size_t)(input.count - ARGUMENTS));
	if (setjmp(input.ended) == 0)
		launcher_main(input.count > ARGUMENTS ? 1 + input.count - ARGUMENTS : 1, argv);
	free(text);
	return 0;
}
