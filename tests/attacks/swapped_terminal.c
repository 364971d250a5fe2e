/*
 * `swapped_terminal ROOT COUNT`: open_terminal of init, COUNT times, while a process outside of this
 * mount namespace exchanges ROOT/dev/pts, where a devpts is mounted in here, with ROOT/dev/fake.
 * Prints how often it has opened a terminal, and how often /dev/console was another file then.
 */
#define _GNU_SOURCE
#include "init.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

#define PTY_SLAVE_MAJOR 136
#define RENAME_EXCHANGE_FLAG 2

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static pid_t start_racer(int dev)
{
	pid_t parent = getpid(), pid = fork();

	if (pid != 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (getppid() == parent)
		syscall(SYS_renameat2, dev, "pts", dev, "fake", RENAME_EXCHANGE_FLAG);
	_exit(0);
}

/* Take the master that init has sent. */
static void receive_master(int socket_fd)
{
	struct message message;
	struct iovec data = { &message, sizeof(message) };
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control;
	struct msghdr msg = { .msg_iov = &data,
			      .msg_iovlen = 1,
			      .msg_control = &control,
			      .msg_controllen = sizeof(control) };

	if (recvmsg(socket_fd, &msg, 0) > 0 && CMSG_FIRSTHDR(&msg))
		close(*(int *)(void *)CMSG_DATA(CMSG_FIRSTHDR(&msg)));
}

int main(int argc, char **argv)
{
	const struct open_terminal_args args = { .console = 1 };
	long count = argc == 3 ? atol(argv[2]) : 0, opened = 0, other = 0;
	int out = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 100);
	int null = open("/dev/null", O_RDWR | O_CLOEXEC), sockets[2], dev;
	char path[4096];
	pid_t racer;

	snprintf(path, sizeof(path), "%s/dev", argv[1]);
	dev = open(path, O_PATH | O_DIRECTORY);
	if (dev < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0)
		die(path);
	racer = start_racer(dev);
	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		die("unshare");
	/* Either of the two is the one; the racer is at work already. */
	snprintf(path, sizeof(path), "%s/dev/pts", argv[1]);
	if (mount("devpts", path, "devpts", 0, "newinstance,ptmxmode=0666") < 0)
		die(path);
	for (long i = 0; i < count; i++) {
		struct init_ctx ctx = { .sync_fd = sockets[0],
					.rootfs_fd = open(argv[1], O_PATH | O_DIRECTORY) };
		struct step_report report = { 0 };
		struct stat st;

		if (op_open_terminal(&ctx, &args, &report) == 0) {
			receive_master(sockets[1]);
			opened++;
			snprintf(path, sizeof(path), "%s/dev/console", argv[1]);
			if (stat(path, &st) < 0 || !S_ISCHR(st.st_mode) ||
			    major(st.st_rdev) != PTY_SLAVE_MAJOR)
				other++;
			umount2(path, MNT_DETACH);
		}
		for (int fd = 0; fd < 3; fd++)
			dup2(null, fd);
		close(ctx.rootfs_fd);
	}
	kill(racer, SIGKILL);
	waitpid(racer, NULL, 0);
	dprintf(out, "%ld %ld\n", opened, other);
	return 0;
}
