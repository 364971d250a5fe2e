/*
 * run_hook: createContainer and startContainer hooks, which run in the container's namespaces.
 *
 * The hook gets the container's state on its standard input; our pid, which it contains, is known
 * only here. What the hook prints is kept up to DETAIL_SIZE bytes for the error. When the time is
 * up, the hook's process group dies; and where we are pid 1 of a pid namespace, in which nothing
 * else lives yet, so does everything else that it started.
 */
#define _GNU_SOURCE
#include "init.h"

#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

struct hook_run {
	int64_t deadline_nsec; /* CLOCK_MONOTONIC; 0 is never */
	int input;	       /* write end of its stdin */
	int output;	       /* read end of its stdout and stderr */
	int pidfd;
	const char *parts[3]; /* of the state still to be written */
	char printed[DETAIL_SIZE];
	size_t printed_length;
};

static int64_t monotonic_nsec(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void write_input(struct hook_run *run)
{
	for (size_t i = 0; i < 3; i++) {
		while (*run->parts[i]) {
			ssize_t written = write(run->input, run->parts[i], strlen(run->parts[i]));

			if (written < 0 && errno == EAGAIN)
				return;
			/* A hook may ignore its state and close its input: EPIPE. */
			if (written < 0)
				goto done;
			run->parts[i] += written;
		}
	}
done:
	close(run->input);
	run->input = -1;
}

static void read_output(struct hook_run *run)
{
	char chunk[512];
	ssize_t got = read(run->output, chunk, sizeof(chunk));
	size_t room = sizeof(run->printed) - 1 - run->printed_length;

	if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
		close(run->output);
		run->output = -1;
	} else if (got > 0) {
		if (room > (size_t)got)
			room = (size_t)got;
		memcpy(run->printed + run->printed_length, chunk, room);
		run->printed_length += room;
	}
}

/* Feed, listen and wait until the hook itself has ended: 0, or -ETIMEDOUT, or -errno of poll. */
static int attend_hook(struct hook_run *run)
{
	for (;;) {
		struct pollfd fds[] = {
			{ .fd = run->pidfd, .events = POLLIN },
			{ .fd = run->output, .events = POLLIN },
			{ .fd = run->input, .events = POLLOUT },
		};
		int timeout_ms = -1;

		if (run->deadline_nsec) {
			int64_t left = run->deadline_nsec - monotonic_nsec();

			if (left <= 0)
				return -ETIMEDOUT;
			timeout_ms = (int)(left / 1000000) + 1;
		}
		if (poll(fds, 3, timeout_ms) < 0 && errno != EINTR)
			return -errno;
		if (fds[2].revents)
			write_input(run);
		if (fds[1].revents)
			read_output(run);
		if (fds[0].revents) {
			if (run->output >= 0)
				read_output(run);
			return 0;
		}
	}
}

static void exec_hook(const struct run_hook_args *args, int input, int output)
{
	setpgid(0, 0);
	if (dup2(input, STDIN_FILENO) < 0 || dup2(output, STDOUT_FILENO) < 0 ||
	    dup2(output, STDERR_FILENO) < 0)
		_exit(127);
	/* Our working directory is still that of whoever called ocipy. */
	if (chdir("/") < 0)
		_exit(127);
	syscall(SYS_close_range, 3U, ~0U, 0U);
	execve(args->path, (char *const *)(uintptr_t)args->argv,
	       (char *const *)(uintptr_t)args->env);
	(void)!write(STDERR_FILENO, strerror(errno), strlen(strerror(errno)));
	_exit(127);
}

static void end_hook(pid_t pid)
{
	kill(-pid, SIGKILL);
	kill(pid, SIGKILL);
	if (getpid() == 1)
		kill(-1, SIGKILL);
}

int op_run_hook(struct init_ctx *ctx, const struct run_hook_args *args,
		struct step_report *report)
{
	char pid_text[DECIMAL_SIZE];
	AUTO_CLOSE int hook_input = -1;
	AUTO_CLOSE int hook_output = -1;
	struct hook_run run = { .input = -1, .output = -1, .pidfd = -1 };
	struct clone_args clone = { .flags = CLONE_PIDFD, .exit_signal = SIGCHLD,
				    .pidfd = (uint64_t)(uintptr_t)&run.pidfd };
	int pipe_fds[2], status = 0, rc;
	long pid;

	(void)ctx;
	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return fail(report, CALL_PIPE2, -errno);
	hook_input = pipe_fds[0];
	run.input = pipe_fds[1];
	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return fail(report, CALL_PIPE2, -errno);
	run.output = pipe_fds[0];
	hook_output = pipe_fds[1];
	/* Ours not to block: the hook decides how much it reads and writes. */
	fcntl(run.input, F_SETFL, O_WRONLY | O_NONBLOCK);
	fcntl(run.output, F_SETFL, O_RDONLY | O_NONBLOCK);
	run.parts[0] = args->state_before_pid;
	run.parts[1] = decimal(pid_text, (unsigned int)getpid());
	run.parts[2] = args->state_after_pid;
	if (args->timeout_ms)
		run.deadline_nsec = monotonic_nsec() + args->timeout_ms * 1000000;

	signal(SIGPIPE, SIG_IGN);
	pid = syscall(SYS_clone3, &clone, sizeof(clone));
	/* Docker's seccomp profile says so; with a listener it is in force before startContainer hooks. */
	if (pid < 0 && errno == ENOSYS)
		pid = syscall(SYS_clone, CLONE_PIDFD | SIGCHLD, NULL, &run.pidfd, NULL, NULL);
	if (pid == 0) {
		signal(SIGPIPE, SIG_DFL);
		exec_hook(args, hook_input, hook_output);
	}
	rc = pid < 0 ? -errno : 0;
	if (pid > 0) {
		close(hook_output);
		hook_output = -1;
		rc = attend_hook(&run);
		if (rc < 0)
			end_hook((pid_t)pid);
		while (waitpid((pid_t)pid, &status, 0) < 0 && errno == EINTR)
			;
		close(run.pidfd);
	}
	signal(SIGPIPE, SIG_DFL);
	if (run.input >= 0)
		close(run.input);
	if (run.output >= 0)
		close(run.output);
	if (pid < 0)
		return fail(report, CALL_CLONE3, rc);
	if (rc < 0)
		return fail_detail(report, CALL_PPOLL, rc, run.printed);
	/* A status is no errno: the host tells the two apart by the call. */
	if (status != 0)
		return fail_detail(report, CALL_WAIT4, -status, run.printed);
	return 0;
}
