/*
 * The container's root file system: made a mount of its own that nothing of which reaches the host,
 * and at the end made the root. Spec (config.md#root), (config-linux.md#rootfs-mount-propagation).
 */
#define _GNU_SOURCE
#include "init.h"
#include "mounting.h"

#include <stdbool.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

/* Change the propagation type of the mount at @fd and, where the flag MS_REC says so, below. */
int set_propagation(int fd, int64_t propagation)
{
	struct mount_attr attr = { .propagation = (uint64_t)propagation & ~(uint64_t)MS_REC };

	return sys_mount_setattr(fd, "", AT_EMPTY_PATH | (propagation & MS_REC ? AT_RECURSIVE : 0),
				 &attr);
}

int op_set_host_propagation(struct init_ctx *ctx, const struct set_host_propagation_args *args,
			    struct step_report *report)
{
	AUTO_CLOSE int root = sys_openat(AT_FDCWD, "/", O_PATH | O_DIRECTORY, 0);
	int rc;

	(void)ctx;
	if (root < 0)
		return fail(report, CALL_OPENAT, root);
	rc = set_propagation(root, args->propagation);
	if (rc == -EINVAL)
		return fail_detail(report, CALL_MOUNT_SETATTR, rc, "/ of the host is no mount");
	return rc < 0 ? fail(report, CALL_MOUNT_SETATTR, rc) : 0;
}

static bool same_file(int a, int b)
{
	struct stat x, y;

	return fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/*
 * Set the propagation of the mount that @fd is in: the kernel takes its root only and says EINVAL to
 * any other directory, so go up until it does not.
 */
static int set_propagation_of_mount(int fd, int64_t propagation)
{
	AUTO_CLOSE int at = sys_openat(fd, ".", O_PATH | O_DIRECTORY, 0);

	while (at >= 0) {
		int rc = set_propagation(at, propagation);
		int parent;

		if (rc != -EINVAL)
			return rc;
		parent = sys_openat(at, "..", O_PATH | O_DIRECTORY, 0);
		if (parent >= 0 && same_file(at, parent)) {
			close(parent);
			return -EINVAL; /* in a chroot: its root is no mount */
		}
		close(at);
		at = parent;
	}
	return at;
}

/*
 * The root file system at @path, in this mount namespace; @found is what the host has found with the
 * config. Whoever can rename a directory on the way must not have another one taken for it.
 */
static int open_rootfs(const char *path, int found, struct step_report *report)
{
	AUTO_CLOSE int expected = found;
	int directory = sys_openat(AT_FDCWD, path, O_PATH | O_DIRECTORY, 0);

	if (directory < 0)
		return fail(report, CALL_OPENAT, directory);
	if (expected >= 0 && !same_file(directory, expected)) {
		close(directory);
		return fail_detail(report, CALL_OPENAT, -ESTALE, path);
	}
	return directory;
}

/*
 * pivot_root(2) wants a mount, whose parent is not shared: nor may this very bind spread to the host.
 */
int op_bind_rootfs(struct init_ctx *ctx, const struct bind_rootfs_args *args,
		   struct step_report *report)
{
	AUTO_CLOSE int directory = open_rootfs(args->path, args->found, report);
	int tree, rc;

	if (directory < 0)
		return directory;
	rc = set_propagation_of_mount(directory, args->propagation);
	if (rc < 0)
		return fail(report, CALL_MOUNT_SETATTR, rc);
	tree = sys_open_tree(directory, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | AT_RECURSIVE);
	if (tree < 0)
		return fail(report, CALL_OPEN_TREE, tree);
	/* From here on the descriptor is the root of the container: the mount, not what it covers. */
	ctx->rootfs_fd = tree;
	rc = set_propagation(tree, args->propagation | MS_REC);
	if (rc < 0)
		return fail(report, CALL_MOUNT_SETATTR, rc);
	rc = sys_move_mount(tree, directory);
	return rc < 0 ? fail(report, CALL_MOVE_MOUNT, rc) : 0;
}

int op_open_root(struct init_ctx *ctx, const struct open_root_args *args,
		 struct step_report *report)
{
	int fd = open_rootfs(args->path, args->found, report);

	if (fd < 0)
		return fd;
	ctx->rootfs_fd = fd;
	return 0;
}

/*
 * Masks need the host's /dev/null after its mount is gone, and a mount can only be copied in a mount
 * namespace: take the copy now.
 */
static int keep_devnull(struct init_ctx *ctx, struct step_report *report)
{
	int copy;

	if (ctx->devnull_fd < 0)
		return 0;
	copy = sys_open_tree(ctx->devnull_fd, "", AT_EMPTY_PATH | OPEN_TREE_CLONE);
	if (copy < 0)
		return fail_detail(report, CALL_OPEN_TREE, copy, "/dev/null of the host");
	close(ctx->devnull_fd);
	ctx->devnull_fd = copy;
	return 0;
}

int op_pivot_root(struct init_ctx *ctx, const struct pivot_root_args *args,
		  struct step_report *report)
{
	AUTO_CLOSE int old_root = sys_openat(AT_FDCWD, "/", O_PATH | O_DIRECTORY, 0);
	int rc = keep_devnull(ctx, report);

	(void)args;
	if (rc < 0)
		return rc;
	if (old_root < 0)
		return fail(report, CALL_OPENAT, old_root);
	if (fchdir(ctx->rootfs_fd) < 0)
		return fail(report, CALL_FCHDIR, -errno);
	/* The new root is put over the old one, which thus needs no directory in the image. */
	rc = sys_pivot_root(".", ".");
	if (rc == -EINVAL)
		return fail_detail(report, CALL_PIVOT_ROOT, rc,
				   "the host's root is an initramfs, or the mount is shared");
	if (rc < 0)
		return fail(report, CALL_PIVOT_ROOT, rc);
	/* Slave, so that its unmounting stays here; private could keep mounts busy on the host. */
	rc = set_propagation(old_root, MS_SLAVE | MS_REC);
	if (rc < 0)
		return fail(report, CALL_MOUNT_SETATTR, rc);
	if (fchdir(old_root) < 0)
		return fail(report, CALL_FCHDIR, -errno);
	if (umount2(".", MNT_DETACH) < 0)
		return fail(report, CALL_UMOUNT2, -errno);
	return chdir("/") < 0 ? fail(report, CALL_CHDIR, -errno) : 0;
}

static int enter_root(struct init_ctx *ctx, struct step_report *report)
{
	if (fchdir(ctx->rootfs_fd) < 0)
		return fail(report, CALL_FCHDIR, -errno);
	if (chroot(".") < 0)
		return fail(report, CALL_CHROOT, -errno);
	return chdir("/") < 0 ? fail(report, CALL_CHDIR, -errno) : 0;
}

int op_change_root(struct init_ctx *ctx, const struct change_root_args *args,
		   struct step_report *report)
{
	(void)args;
	return enter_root(ctx, report);
}

#define LINE_SIZE 8192

/* One line of mountinfo: "36 35 98:0 /root /mount/point opts tags - type source super". */
static bool is_whole_proc_or_sys(char *line, char **mountpoint)
{
	char *field = line, *type, *out;

	for (int i = 0; i < 3; i++) {
		field = strchr(field, ' ');
		if (!field)
			return false;
		field++;
	}
	type = strstr(field, " - ");
	if (strncmp(field, "/ ", 2) != 0 || !type)
		return false;
	if (strncmp(type, " - proc ", 8) != 0 && strncmp(type, " - sysfs ", 9) != 0)
		return false;
	*mountpoint = out = field += 2;
	for (; *field && *field != ' '; field++, out++) {
		*out = *field;
		if (*field == '\\' && field[1] && field[2] && field[3]) {
			*out = (char)((field[1] - '0') << 6 | (field[2] - '0') << 3 | (field[3] - '0'));
			field += 3;
		}
	}
	*out = '\0';
	return true;
}

static bool is_below(const char *path, const char *directory)
{
	size_t length = strlen(directory);

	return strncmp(path, directory, length) == 0 && (path[length] == '/' || !path[length]);
}

/* Copy the @skip'th whole proc or sysfs outside of @rootfs to @found: 1, 0 if there is none, -errno. */
static int find_host_proc(int proc_fd, const char *rootfs, int skip, char found[LINE_SIZE])
{
	AUTO_CLOSE int fd = sys_openat(proc_fd, "thread-self/mountinfo", O_RDONLY, 0);
	char buffer[LINE_SIZE];
	size_t used = 0;
	ssize_t got;

	if (fd < 0)
		return fd;
	while ((got = read(fd, buffer + used, sizeof(buffer) - 1 - used)) > 0) {
		char *line = buffer, *end, *mountpoint;

		used += (size_t)got;
		buffer[used] = '\0';
		for (; (end = strchr(line, '\n')); line = end + 1) {
			*end = '\0';
			if (!is_whole_proc_or_sys(line, &mountpoint) || is_below(mountpoint, rootfs))
				continue;
			if (skip-- == 0) {
				strcpy(found, mountpoint);
				return 1;
			}
		}
		used -= (size_t)(line - buffer);
		memmove(buffer, line, used);
	}
	return got < 0 ? -errno : 0;
}

/* The path of what @fd refers to, as mountinfo has it: no links in it. 0 or -errno. */
static int path_of(int proc_fd, int fd, char path[LINE_SIZE])
{
	char name[sizeof("thread-self/fd/") + DECIMAL_SIZE] = "thread-self/fd/";
	char digits[DECIMAL_SIZE];
	ssize_t length;

	strcat(name, decimal(digits, (unsigned int)fd));
	length = readlinkat(proc_fd, name, path, LINE_SIZE - 1);
	if (length < 0)
		return -errno;
	path[length] = '\0';
	return 0;
}

/*
 * Behind a chroot the host's mounts stay in the mount namespace, and a process that may mount a new
 * proc or sysfs as long as one is fully visible there gets past every masked path. So take those
 * away, or cover what cannot be unmounted.
 */
static int hide_host_proc(int proc_fd, int rootfs_fd, struct step_report *report)
{
	char mountpoint[LINE_SIZE], rootfs[LINE_SIZE];
	int covered = 0, rc = path_of(proc_fd, rootfs_fd, rootfs);

	if (rc < 0)
		return fail(report, CALL_READLINKAT, rc);
	while ((rc = find_host_proc(proc_fd, rootfs, covered, mountpoint)) > 0) {
		AUTO_CLOSE int fd = sys_openat(AT_FDCWD, mountpoint, O_PATH, 0);

		if (fd == -ENOENT) {
			covered++; /* below one that is already gone */
			continue;
		}
		if (fd < 0)
			return fail_detail(report, CALL_OPENAT, fd, mountpoint);
		/* EINVAL: another mount on top of it is what the path leads to. */
		rc = set_propagation(fd, MS_SLAVE | MS_REC);
		if (rc < 0 && rc != -EINVAL)
			return fail_detail(report, CALL_MOUNT_SETATTR, rc, mountpoint);
		if (umount2(mountpoint, MNT_DETACH) == 0)
			continue;
		if (errno != EINVAL && errno != EPERM)
			return fail_detail(report, CALL_UMOUNT2, -errno, mountpoint);
		if (mount("tmpfs", mountpoint, "tmpfs", MS_RDONLY, "nr_blocks=1,nr_inodes=1") < 0)
			return fail_detail(report, CALL_MOUNT, -errno, mountpoint);
		covered++;
	}
	return rc < 0 ? fail_detail(report, CALL_OPENAT, rc, "mountinfo") : 0;
}

int op_move_root(struct init_ctx *ctx, const struct move_root_args *args,
		 struct step_report *report)
{
	AUTO_CLOSE int old_root = sys_openat(AT_FDCWD, "/", O_PATH | O_DIRECTORY, 0);
	int rc = keep_devnull(ctx, report);

	(void)args;
	if (rc < 0)
		return rc;
	if (old_root < 0)
		return fail(report, CALL_OPENAT, old_root);
	rc = hide_host_proc(ctx->proc_fd, ctx->rootfs_fd, report);
	if (rc < 0)
		return rc;
	rc = sys_move_mount(ctx->rootfs_fd, old_root);
	if (rc < 0)
		return fail(report, CALL_MOVE_MOUNT, rc);
	return enter_root(ctx, report);
}
