#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "shim_userns.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int ocipy_clone_userns(int *pidfd)
{
	struct clone_args clone = {
		.flags = CLONE_NEWUSER | CLONE_PIDFD,
		.exit_signal = SIGCHLD,
		.pidfd = (uint64_t)(uintptr_t)pidfd,
	};
	pid_t parent = getpid();
	long pid = syscall(SYS_clone3, &clone, sizeof(clone));

	if (pid != 0)
		return pid < 0 ? -errno : (int)pid;
	/* In the child, a copy of the interpreter: nothing of Python runs. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* Ended before the line above: its parent is another process by now. */
	if (getppid() != parent)
		_exit(1);
	for (;;)
		pause();
}

int ocipy_idmap_tree(int tree, int userns_fd, int recursive)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_IDMAP, .userns_fd = (uint64_t)userns_fd };
	unsigned int flags = AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0);

	return syscall(SYS_mount_setattr, tree, "", flags, &attr, sizeof(attr)) < 0 ? -errno : 0;
}
