/*
 * measure PROGRAM ARGUMENTS...: run a program to its end with /dev/null around it, and print
 *
 *   wall clock, processor time (microseconds), peak memory (KiB), exit status
 *
 * Processor time is that of the program and of what it waited for. A small program of its own, because
 * the peak of a child begins with that of the process it is forked from.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

extern char **environ;

static long long microseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000LL + now.tv_nsec / 1000;
}

int main(int argc, char **argv)
{
	posix_spawn_file_actions_t actions;
	struct rusage usage;
	long long begin, end;
	int status;
	pid_t pid;

	if (argc < 2)
		return 2;
	posix_spawn_file_actions_init(&actions);
	for (int fd = 0; fd < 3; fd++)
		posix_spawn_file_actions_addopen(&actions, fd, "/dev/null", O_RDWR, 0);
	begin = microseconds();
	if (posix_spawn(&pid, argv[1], &actions, NULL, argv + 1, environ) != 0)
		return 2;
	wait4(pid, &status, 0, &usage);
	end = microseconds();
	printf("%lld %lld %ld %d\n", end - begin,
	       (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000LL +
		       usage.ru_utime.tv_usec + usage.ru_stime.tv_usec,
	       usage.ru_maxrss, WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
	return 0;
}
