/*
 * open_terminal: a pty of the container's devpts as standard streams and /dev/console; its master goes
 * to the host. control_terminal: the same as the controlling terminal of a session.
 *
 * The image and whoever shares its volumes may swap /dev/pts or put a link there. The slave is
 * opened from the master (TIOCGPTPEER), never by name, and mounted by descriptor (CVE-2025-52565).
 */
#define _GNU_SOURCE
#include "init.h"

#include <linux/magic.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <termios.h>

#define DEVPTS_MAGIC 0x1cd1

static int open_master(int rootfs_fd)
{
	static const char *const names[] = { "dev/pts/ptmx", "dev/ptmx" };
	int fd = -ENOENT;

	for (size_t i = 0; i < 2; i++) {
		struct stat st;

		fd = open_in_root(rootfs_fd, names[i], O_RDWR | O_NOCTTY);
		if (fd < 0)
			continue;
		/* 5:2 is ptmx wherever it is; any other file would hand the user a fake terminal. */
		if (fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == makedev(5, 2))
			return fd;
		close(fd);
		fd = -ENODEV;
	}
	return fd;
}

static int mount_console(int rootfs_fd, int slave, struct step_report *report)
{
	AUTO_CLOSE int target = open_or_make_file(rootfs_fd, "/dev/console");
	AUTO_CLOSE int tree = -1;
	int rc;

	if (target < 0)
		return fail_detail(report, CALL_OPENAT2, target, "/dev/console");
	tree = sys_open_tree(slave, "", AT_EMPTY_PATH | OPEN_TREE_CLONE);
	if (tree < 0)
		return fail_detail(report, CALL_OPEN_TREE, tree, "/dev/console");
	rc = sys_move_mount(tree, target);
	return rc < 0 ? fail_detail(report, CALL_MOVE_MOUNT, rc, "/dev/console") : 0;
}

int op_open_terminal(struct init_ctx *ctx, const struct open_terminal_args *args,
		     struct step_report *report)
{
	struct message message = { .kind = MESSAGE_TERMINAL, .step = ctx->step };
	struct winsize size = { .ws_row = (unsigned short)args->height,
				.ws_col = (unsigned short)args->width };
	AUTO_CLOSE int master = open_master(ctx->rootfs_fd);
	AUTO_CLOSE int slave = -1;
	int unlock = 0, rc;

	if (master < 0)
		return fail_detail(report, CALL_OPENAT2, master, "/dev/pts/ptmx");
	if (ioctl(master, TIOCSPTLCK, &unlock) < 0)
		return fail(report, CALL_IOCTL, -errno);
	slave = sys_result(ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC));
	if (slave < 0)
		return fail(report, CALL_IOCTL, slave);
	if (filesystem_magic(slave) != DEVPTS_MAGIC)
		return fail(report, CALL_FSTATFS, -ENODEV);
	if (args->width && args->height && ioctl(slave, TIOCSWINSZ, &size) < 0)
		return fail(report, CALL_IOCTL, -errno);
	if (args->console) {
		rc = mount_console(ctx->rootfs_fd, slave, report);
		if (rc < 0)
			return rc;
	}
	/* EINVAL: the uid has no mapping here; EPERM: a user namespace that maps one id. */
	if (fchown(slave, (uid_t)args->uid, (gid_t)-1) < 0 && errno != EINVAL && errno != EPERM)
		return fail(report, CALL_FCHOWN, -errno);
	for (int fd = 0; fd < 3; fd++)
		if (dup2(slave, fd) < 0)
			return fail(report, CALL_DUP3, -errno);
	rc = send_message(ctx->sync_fd, &message, master);
	return rc < 0 ? fail(report, CALL_SENDMSG, rc) : 0;
}

/* A session is not inherited by a child as its own: after the last fork. */
int op_control_terminal(struct init_ctx *ctx, const struct control_terminal_args *args,
			struct step_report *report)
{
	(void)ctx;
	(void)args;
	if (setsid() < 0 && errno != EPERM)
		return fail(report, CALL_SETSID, -errno);
	if (ioctl(STDIN_FILENO, TIOCSCTTY, 0) < 0)
		return fail(report, CALL_IOCTL, -errno);
	return 0;
}

int op_reopen_null(struct init_ctx *ctx, const struct reopen_null_args *args,
		   struct step_report *report)
{
	AUTO_CLOSE int null = -1;
	struct stat ours, theirs;

	(void)args;
	for (int fd = 0; fd < 3; fd++) {
		/* Only the host's /dev/null is replaced: its owner could be changed through /proc. */
		if (fstat(fd, &theirs) < 0 || !S_ISCHR(theirs.st_mode) ||
		    theirs.st_rdev != makedev(1, 3))
			continue;
		if (null < 0)
			null = open_in_root(ctx->rootfs_fd, "dev/null", O_RDWR);
		if (null < 0 || fstat(null, &ours) < 0 || !S_ISCHR(ours.st_mode) ||
		    ours.st_rdev != makedev(1, 3))
			return 0; /* an image without /dev/null keeps the host's */
		if (dup2(null, fd) < 0)
			return fail(report, CALL_DUP3, -errno);
	}
	return 0;
}
