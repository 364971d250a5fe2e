#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "shim.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

static int result(long rc)
{
	return rc < 0 ? -errno : (int)rc;
}

/*
 * In a user namespace without maps we have every capability and no user id, and execve(2) lets nobody
 * but its root keep them, unless they are ambient.
 */
static void keep_capabilities(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct sets[2];

	if (syscall(SYS_capget, &header, sets) < 0)
		return;
	for (int i = 0; i < 2; i++)
		sets[i].inheritable = sets[i].permitted;
	syscall(SYS_capset, &header, sets);
	for (unsigned long cap = 0; cap < 64; cap++)
		if (sets[cap / 32].permitted >> cap % 32 & 1)
			prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0);
}

/* What the child of ocipy_spawn_init() has to do, between its clone and its exec. */
struct child {
	int init_fd;
	int passed[2]; /* plan, socket */
	const int *inherit;
	size_t inherit_count;
	const int *stdio;
	bool keeps_capabilities;
};

/* Runs in the child, maybe in the memory of the interpreter: nothing of Python from here to the exec. */
static void become_init(const struct child *child)
{
	char plan_arg[12], sync_arg[12], name[] = "ocipy-init";
	char *argv[] = { name, plan_arg, sync_arg, NULL };
	char *envp[] = { NULL };

	snprintf(plan_arg, sizeof(plan_arg), "%d", child->passed[0]);
	snprintf(sync_arg, sizeof(sync_arg), "%d", child->passed[1]);
	for (int fd = 0; fd < 3; fd++)
		if (child->stdio[fd] != fd)
			dup2(child->stdio[fd], fd);
	/* What our caller has left open is not for a container that may wait for hours. */
	syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC);
	for (size_t i = 0; i < 2; i++)
		fcntl(child->passed[i], F_SETFD, 0);
	for (size_t i = 0; i < child->inherit_count; i++)
		fcntl(child->inherit[i], F_SETFD, 0);
	if (child->keeps_capabilities)
		keep_capabilities();
	syscall(SYS_execveat, child->init_fd, "", argv, envp, AT_EMPTY_PATH);
	_exit(127);
}

/*
 * clone3(2); the child becomes init. Returns its pid or -errno. As with vfork(2) we stand still until
 * the exec, and the child uses our memory: to copy the page tables of an interpreter, and every page
 * that either writes to, takes 1 ms. A child that shares memory needs a stack, and so a few
 * instructions of the machine's own.
 */
static long clone_init(struct clone_args *clone, const struct child *child)
{
	long rc;
#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__)
	char stack[16384] __attribute__((aligned(16)));
	register const struct child *argument __asm__("r12") = child;
	register void (*entry)(const struct child *) __asm__("r13") = become_init;

	clone->flags |= CLONE_VM | CLONE_VFORK;
	clone->stack = (uint64_t)(uintptr_t)stack;
	clone->stack_size = sizeof(stack);
	__asm__ volatile("syscall\n\t"
			 "test %%rax, %%rax\n\t"
			 "jnz 1f\n\t"
			 "xor %%ebp, %%ebp\n\t"
			 "mov %%r12, %%rdi\n\t"
			 "call *%%r13\n\t"
			 "1:"
			 : "=a"(rc)
			 : "a"(SYS_clone3), "D"(clone), "S"(sizeof(*clone)), "r"(argument), "r"(entry)
			 : "rcx", "r11", "cc", "memory");
#else
	rc = syscall(SYS_clone3, clone, sizeof(*clone));
	if (rc == 0)
		become_init(child);
	else if (rc < 0)
		rc = -errno;
#endif
	return rc;
}

int ocipy_spawn_init(int init_fd, int plan_fd, int sync_fd, uint64_t clone_flags, int cgroup_fd,
		     const int *inherit, size_t inherit_count, const int *stdio, int *pidfd)
{
	const struct child child = {
		.init_fd = init_fd,
		.passed = { plan_fd, sync_fd },
		.inherit = inherit,
		.inherit_count = inherit_count,
		.stdio = stdio,
		.keeps_capabilities = (clone_flags & CLONE_NEWUSER) != 0,
	};
	struct clone_args clone = {
		.flags = clone_flags | CLONE_PIDFD,
		.exit_signal = SIGCHLD,
		.pidfd = (uint64_t)(uintptr_t)pidfd,
	};
	sigset_t all, before;
	long pid;

	if (cgroup_fd >= 0) {
		clone.flags |= CLONE_INTO_CGROUP;
		clone.cgroup = (uint64_t)cgroup_fd;
	}
	/* A handler of ours must not run in the child. init takes the signals that it was sent. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	pid = clone_init(&clone, &child);
	sigprocmask(SIG_SETMASK, &before, NULL);
	return (int)pid;
}

int ocipy_spawn_program(const char *path, char **argv, char **env, const char *cwd, int input_fd,
			int output_fd, int *pidfd)
{
	struct clone_args clone = {
		.flags = CLONE_PIDFD,
		.exit_signal = SIGCHLD,
		.pidfd = (uint64_t)(uintptr_t)pidfd,
	};
	const char *reason;
	sigset_t none;
	long pid = syscall(SYS_clone3, &clone, sizeof(clone));

	if (pid != 0)
		return result(pid);
	setpgid(0, 0);
	/* If we are killed, nobody is left to end the hook when its time is up. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* Python ignores these two, and what is ignored stays so across the exec. */
	signal(SIGPIPE, SIG_DFL);
	signal(SIGXFSZ, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (dup2(input_fd, STDIN_FILENO) >= 0 && dup2(output_fd, STDOUT_FILENO) >= 0 &&
	    dup2(output_fd, STDERR_FILENO) >= 0 && chdir(cwd) == 0) {
		syscall(SYS_close_range, 3U, ~0U, 0U);
		execve(path, argv, env);
	}
	reason = strerrordesc_np(errno);
	(void)!write(STDERR_FILENO, reason, strlen(reason));
	_exit(127);
}

int ocipy_socketpair(int fds[2])
{
	return result(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds));
}

int ocipy_connect_unix(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	/* A listener that accepts nothing any more must not keep us, and the container's lock, for ever. */
	const struct timeval patience = { .tv_sec = 5 };
	int target, fd, rc;

	/* /proc/self/fd/N is short where the path is not. */
	target = open(path, O_PATH | O_CLOEXEC);
	if (target < 0)
		return -errno;
	snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d", target);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		rc = -errno;
	} else if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) < 0 ||
		   connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		rc = -errno;
		close(fd);
	} else {
		rc = fd;
	}
	close(target);
	return rc;
}

#define FDS_MAX 8

union control {
	struct cmsghdr header;
	char space[CMSG_SPACE(sizeof(int) * FDS_MAX)];
};

int ocipy_send(int socket_fd, const void *data, size_t length, const int *fds, size_t fd_count)
{
	struct iovec part = { (void *)(uintptr_t)data, length };
	union control control = { 0 };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };

	if (fd_count > FDS_MAX)
		return -EINVAL;
	if (fd_count > 0) {
		message.msg_control = &control;
		message.msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
		memcpy(CMSG_DATA(&control.header), fds, sizeof(int) * fd_count);
	}
	return result(sendmsg(socket_fd, &message, MSG_NOSIGNAL));
}

int ocipy_receive(int socket_fd, void *data, size_t length, int *fd, int timeout_ms)
{
	struct pollfd ready = { .fd = socket_fd, .events = POLLIN };
	struct iovec part = { data, length };
	union control control = { 0 };
	struct msghdr message = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = &control,
		/* Room for one: the kernel drops what does not fit, so no descriptor is leaked. */
		.msg_controllen = CMSG_SPACE(sizeof(int)),
	};
	struct cmsghdr *header;
	ssize_t got;
	int rc;

	*fd = -1;
	rc = poll(&ready, 1, timeout_ms);
	if (rc <= 0)
		return rc < 0 ? -errno : -ETIMEDOUT;
	got = recvmsg(socket_fd, &message, MSG_CMSG_CLOEXEC);
	if (got < 0)
		return -errno;
	header = CMSG_FIRSTHDR(&message);
	if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS)
		memcpy(fd, CMSG_DATA(header), sizeof(int));
	return (int)got;
}

int ocipy_open_tree(const char *path, unsigned int flags)
{
	return result(syscall(SYS_open_tree, AT_FDCWD, path, flags | OPEN_TREE_CLOEXEC));
}

int ocipy_open_in_root(int root_fd, const char *path, uint64_t flags)
{
	struct open_how how = {
		.flags = flags | O_CLOEXEC,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};

	return result(syscall(SYS_openat2, root_fd, path, &how, sizeof(how)));
}

int ocipy_prlimit(int pid, int resource, uint64_t soft, uint64_t hard)
{
	struct rlimit64 limit = { .rlim_cur = soft, .rlim_max = hard };

	return result(syscall(SYS_prlimit64, pid, resource, &limit, NULL));
}

int ocipy_prctl(int option, unsigned long argument)
{
	return result(prctl(option, argument, 0, 0, 0));
}

int ocipy_setns(int fd, int clone_flag)
{
	return result(setns(fd, clone_flag));
}
