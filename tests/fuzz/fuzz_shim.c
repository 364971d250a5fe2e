/*
 * The C shim with whatever Python could pass to it: words of programs to start, messages and
 * descriptors on sockets, seccomp rules. Children are not really started: the branch of the child runs
 * here up to its exec, which is answered below.
 *
 * The first byte chooses the function, the second what comes with it; the rest is data.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fuzz.h"
#include "shim_seccomp.h"

int steps_run;

static jmp_buf ended;

static void look_at_words(char *const *words)
{
	for (; *words; words++)
		look_at(*words, strlen(*words));
}

/* clone3(2) is always answered as in the child; a program that is started looks at its words. */
static long fuzz_syscall(long number, ...)
{
	char *const *argv, *const *env;
	va_list arguments;

	if (number != SYS_execveat)
		return 0;
	va_start(arguments, number);
	(void)va_arg(arguments, int);
	(void)va_arg(arguments, const char *);
	argv = va_arg(arguments, char *const *);
	env = va_arg(arguments, char *const *);
	va_end(arguments);
	look_at_words(argv);
	look_at_words(env);
	longjmp(ended, 1);
}

static int fuzz_execve(const char *path, char *const *argv, char *const *env)
{
	look_at(path, strlen(path));
	look_at_words(argv);
	look_at_words(env);
	errno = strlen(path) % 40;
	return -1;
}

static _Noreturn void fuzz_exit(int status)
{
	longjmp(ended, status + 1);
}

static ssize_t fuzz_write(int fd, const void *text, size_t size)
{
	(void)fd;
	look_at(text, size);
	return (ssize_t)size;
}

static int fuzz_chdir(const char *path)
{
	return *path == '/' ? 0 : -1;
}

static int fuzz_dup2(int from, int to)
{
	return from < 0 ? from : to;
}

static int fuzz_sigprocmask(int how, const sigset_t *set, sigset_t *before)
{
	(void)set;
	if (before)
		sigemptyset(before);
	return how;
}

static int fuzz_fcntl(int fd, ...)
{
	return fd;
}

static int fuzz_prctl(int option, ...)
{
	return option;
}

/* setjmp(3) is not returned from twice in a way that matters to the variables around it. */
#ifndef __clang__
#pragma GCC diagnostic ignored "-Wclobbered"
#endif
#define syscall fuzz_syscall
#define execve fuzz_execve
#define _exit fuzz_exit
#define write fuzz_write
#define chdir fuzz_chdir
#define dup2 fuzz_dup2
#define setpgid(pid, group) (void)0
#define signal(number, handler) (void)0
#define sigprocmask fuzz_sigprocmask
#define prctl fuzz_prctl
#define fcntl fuzz_fcntl
#include "shim.c"
#undef write
#undef syscall

static void spawn(uint8_t extra, char *text, size_t size)
{
	char *words[WORDS_MAX + 1], *none[] = { NULL };
	int count = split_words(text, size, words, WORDS_MAX), split = count ? extra % count : 0, pidfd;
	char *path = count ? words[0] : text;
	int inherited[WORDS_MAX];
	const int stdio[] = { 0, extra, 2 };

	if (setjmp(ended))
		return;
	if (extra % 2) {
		for (int i = 0; i < count; i++)
			inherited[i] = atoi(words[i]);
		ocipy_spawn_init(3, atoi(path), extra - 3, CLONE_NEWUSER * (uint64_t)(extra % 4 == 1), 3,
				 inherited, (size_t)count, stdio, &pidfd);
	} else {
		char **env = count ? words + split : none;

		ocipy_spawn_program(path, words, env, path, 0, 1, &pidfd);
	}
}

static void message(uint8_t extra, const char *data, size_t size)
{
	int sockets[2], fds[16], received = -1, rc;
	size_t room = size / 2 + 1;
	char *out = malloc(room);

	if (!out || ocipy_socketpair(sockets) < 0)
		abort();
	for (int i = 0; i < 16; i++)
		fds[i] = sockets[i % 2];
	rc = ocipy_send(sockets[0], data, size, fds, extra % 16);
	if (rc >= 0) {
		rc = ocipy_receive(sockets[1], out, room, &received, 0);
		if (rc > (int)room || (extra % 16 == 1 && received < 0))
			abort();
		if (rc > 0)
			look_at(out, (size_t)rc);
	} else if (extra % 16 <= FDS_MAX && rc != -EMSGSIZE && rc != -EAGAIN) {
		abort();
	}
	if (received >= 0)
		close(received);
	close(sockets[0]);
	close(sockets[1]);
	free(out);
}

static uint64_t take(const char **data, size_t *size, size_t length)
{
	uint64_t value = 0;

	length = length < *size ? length : *size;
	memcpy(&value, *data, length);
	*data += length;
	*size -= length;
	return value;
}

/* Indices are kept right, as Python's are: the rest of a rule is free. */
static void seccomp(uint8_t extra, const char *data, size_t size)
{
	static const uint32_t actions[] = { 0x7fff0000, 0x00050001, 0x80000000, 0, 0x7ffc0000, 0x7fc00000 };
	struct ocipy_seccomp_condition conditions[16];
	struct ocipy_seccomp_rule rules[16];
	uint32_t archs[4], position, rule_count = 0, arch_count = extra % 4, fixed = extra % 7;
	int fd = memfd_create("filter", MFD_CLOEXEC), rc;

	for (uint32_t i = 0; i < arch_count; i++)
		archs[i] = (uint32_t)take(&data, &size, 4);
	while (size && rule_count < 16) {
		struct ocipy_seccomp_condition *condition = &conditions[rule_count];
		struct ocipy_seccomp_rule *rule = &rules[rule_count];

		rule->action = fixed < 6 ? actions[take(&data, &size, 1) % 6] : (uint32_t)take(&data, &size, 4);
		rule->syscall = (int32_t)take(&data, &size, 2);
		rule->first = rule_count;
		rule->count = take(&data, &size, 1) % 2;
		condition->argument = (uint32_t)take(&data, &size, 1);
		condition->compare = (uint32_t)take(&data, &size, 1);
		condition->value = take(&data, &size, 8);
		condition->value_two = take(&data, &size, 8);
		rule_count++;
	}
	rc = ocipy_seccomp_export(fd, actions[fixed % 6], 1 + extra % 2, archs, arch_count, rules, rule_count,
				  conditions, &position);
	if (position > 1 + arch_count + rule_count || (rc == 0 && position != 1 + arch_count + rule_count))
		abort();
	close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text;

	if (size < 2)
		return 0;
	text = copy_of(data + 2, size - 2);
	switch (data[0] % 4) {
	case 0:
		spawn(data[1], text, size - 2);
		break;
	case 1:
		message(data[1], text, size - 2);
		break;
	case 2:
		seccomp(data[1], text, size - 2);
		break;
	default:
		ocipy_seccomp_syscall_number(data[1] ? 0xc000003e : 0, text);
	}
	free(text);
	return 0;
}
