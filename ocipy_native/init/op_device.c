/*
 * Device nodes, and the links of /dev. Spec (config-linux.md#devices),
 * (runtime-linux.md#dev-symbolic-links).
 */
#define _GNU_SOURCE
#include "init.h"
#include "mounting.h"

#include <stdbool.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452 /* Linux 6.6; the same number on every architecture */
#endif

/* Fifos have no number: whatever the plan says, the kernel says 0. */
static bool is_device(const struct stat *st, int64_t mode, int64_t major_id, int64_t minor_id)
{
	if ((st->st_mode & S_IFMT) != ((mode_t)mode & S_IFMT))
		return false;
	return S_ISFIFO(st->st_mode) ||
	       st->st_rdev == makedev((unsigned int)major_id, (unsigned int)minor_id);
}

/* chmod of an O_PATH descriptor, which before Linux 6.6 only /proc can do. */
static int change_mode(int proc_fd, int fd, mode_t mode)
{
	char path[sizeof("thread-self/fd/") + DECIMAL_SIZE] = "thread-self/fd/";
	char digits[DECIMAL_SIZE];
	int rc = sys_result(syscall(SYS_fchmodat2, fd, "", mode, AT_EMPTY_PATH));

	if (rc != -ENOSYS)
		return rc;
	strcat(path, decimal(digits, (unsigned int)fd));
	return sys_result(fchmodat(proc_fd, path, mode, 0));
}

int op_make_device(struct init_ctx *ctx, const struct make_device_args *args,
		   struct step_report *report)
{
	AUTO_CLOSE int parent = -1;
	AUTO_CLOSE int fd = -1;
	const char *name;
	struct stat st;
	int made, rc;

	parent = open_or_make_parent(ctx->rootfs_fd, args->path, &name);
	if (parent == -ENOTDIR)
		return fail_detail(report, CALL_OPENAT2, parent, "a link or file is in the way");
	if (parent < 0)
		return fail(report, CALL_OPENAT2, parent);
	made = mknodat(parent, name, (mode_t)args->mode,
		       makedev((unsigned int)args->major, (unsigned int)args->minor));
	if (made < 0 && errno != EEXIST)
		return fail(report, CALL_MKNODAT, -errno);
	if (made < 0 && args->keep)
		return 0;
	fd = sys_openat(parent, name, O_PATH | O_NOFOLLOW, 0);
	if (fd < 0 || fstat(fd, &st) < 0)
		return fail(report, CALL_FSTAT, fd < 0 ? fd : -errno);
	/* Spec (config-linux.md#devices): another file at this path MUST be an error. */
	if (!is_device(&st, args->mode, args->major, args->minor))
		return fail_detail(report, CALL_MKNODAT, -EEXIST, "another file is at this path");
	/* mknod(2) takes the umask away, and so might a file that was there already differ. */
	if ((st.st_uid != (uid_t)args->uid || st.st_gid != (gid_t)args->gid) &&
	    fchownat(fd, "", (uid_t)args->uid, (gid_t)args->gid, AT_EMPTY_PATH) < 0)
		return fail(report, CALL_FCHOWNAT, -errno);
	if ((st.st_mode & 07777) != ((mode_t)args->mode & 07777)) {
		rc = change_mode(ctx->proc_fd, fd, (mode_t)args->mode & 07777);
		if (rc < 0)
			return fail(report, CALL_FCHMODAT, rc);
	}
	return 0;
}

/*
 * Without the right to make device nodes: bind the host's. An empty file may be there: what an earlier
 * container with the same image left as the place for its bind.
 */
int op_bind_device(struct init_ctx *ctx, const struct bind_device_args *args,
		   struct step_report *report)
{
	AUTO_CLOSE int tree = args->tree;
	AUTO_CLOSE int parent = -1;
	AUTO_CLOSE int target = -1;
	const char *name;
	struct stat st;
	int rc;

	if (tree < 0)
		tree = sys_open_tree(AT_FDCWD, args->device, OPEN_TREE_CLONE);
	if (tree < 0)
		return fail_detail(report, CALL_OPEN_TREE, tree, "no such device on the host");
	if (fstat(tree, &st) < 0)
		return fail(report, CALL_FSTAT, -errno);
	if (!is_device(&st, args->mode, args->major, args->minor))
		return fail_detail(report, CALL_FSTAT, -ENODEV, "on the host it is another file");

	parent = open_or_make_parent(ctx->rootfs_fd, args->path, &name);
	if (parent < 0)
		return fail(report, CALL_OPENAT2, parent);
	target = sys_openat(parent, name, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW, 0644);
	if (target == -EEXIST) {
		target = open_in_root(parent, name, O_PATH | O_NOFOLLOW);
		if (target < 0 || fstat(target, &st) < 0)
			return fail(report, CALL_FSTAT, target < 0 ? target : -errno);
		if (is_device(&st, args->mode, args->major, args->minor))
			return 0;
		if (!S_ISREG(st.st_mode) && args->keep)
			return 0;
		if (!S_ISREG(st.st_mode) || (st.st_size > 0 && !args->keep))
			return fail_detail(report, CALL_FSTAT, -EEXIST, "another file is at this path");
	}
	if (target < 0)
		return fail(report, CALL_OPENAT, target);
	rc = set_propagation(tree, MS_PRIVATE);
	if (rc < 0)
		return fail(report, CALL_MOUNT_SETATTR, rc);
	rc = sys_move_mount(tree, target);
	return rc < 0 ? fail(report, CALL_MOVE_MOUNT, rc) : 0;
}

int op_make_symlink(struct init_ctx *ctx, const struct make_symlink_args *args,
		    struct step_report *report)
{
	AUTO_CLOSE int parent = -1;
	const char *name;

	parent = open_or_make_parent(ctx->rootfs_fd, args->path, &name);
	if (parent == -ENOTDIR)
		return fail_detail(report, CALL_OPENAT2, parent, "a link or file is in the way");
	if (parent < 0)
		return fail(report, CALL_OPENAT2, parent);
	if (args->replace && unlinkat(parent, name, 0) < 0 && errno != ENOENT)
		return fail(report, CALL_UNLINKAT, -errno);
	/* A file of the image's stays what it is, as with every other runtime. */
	if (symlinkat(args->content, parent, name) < 0 && errno != EEXIST)
		return fail(report, CALL_SYMLINKAT, -errno);
	return 0;
}
