/*
 * The mount operations. Spec (config.md#mounts).
 *
 * A mount is made detached, gets all its attributes while nobody can reach it, and is then moved onto
 * a target that was resolved below the container's root and is held as a descriptor. No path is used
 * twice, so nobody can put another in its place, and there is no moment in which a mount that shall
 * be read-only is writable.
 */
#define _GNU_SOURCE
#include "init.h"
#include "mounting.h"

#include <limits.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#define PROC_ROOT_INODE 1

/* ---------------------------------------------------------------- targets */

/*
 * A proc or sysfs decides what other steps write to (sysctls, labels), so it goes to the very
 * directory that was asked for, not where a link leads: CVE-2019-19921, CVE-2023-27561.
 */
static int open_ordinary_directory(int root_fd, const char *path)
{
	int fd = open_in_root(root_fd, path, O_PATH | O_DIRECTORY | O_NOFOLLOW);

	if (fd != -ENOENT)
		return fd;
	fd = open_or_make_directory(root_fd, path, 0755);
	if (fd < 0)
		return fd;
	close(fd);
	return open_in_root(root_fd, path, O_PATH | O_DIRECTORY | O_NOFOLLOW);
}

/*
 * Refuse a target on or inside a procfs, unless the plan says that this one is harmless: what covers a
 * part of /proc can make ocipy write to another file (CVE-2025-52881). And nothing may cover the
 * root itself, which the steps that follow would no longer see.
 */
static int check_target(int root_fd, int target, bool on_proc, struct step_report *report)
{
	struct stat root, st;

	if (fstat(root_fd, &root) < 0 || fstat(target, &st) < 0)
		return fail(report, CALL_FSTAT, -errno);
	if (root.st_dev == st.st_dev && root.st_ino == st.st_ino)
		return fail_detail(report, CALL_NONE, -EBUSY, "it is the root of the container");
	if (!on_proc && filesystem_magic(target) == PROC_SUPER_MAGIC)
		return fail_detail(report, CALL_NONE, -EPERM,
				   st.st_ino == PROC_ROOT_INODE ? "it is /proc" : "it is inside /proc");
	return 0;
}

/* Report why @path cannot be opened as a target, or check what was opened. */
static int checked_target(struct init_ctx *ctx, int target, bool on_proc,
			  struct step_report *report)
{
	int rc;

	if (target < 0)
		return fail(report, CALL_OPENAT2, target);
	rc = check_target(ctx->rootfs_fd, target, on_proc, report);
	if (rc == 0)
		return target;
	close(target);
	return rc;
}

/* ---------------------------------------------------------------- a new file system */

/* The last error in the log of a file system context says more than errno does. */
static int fail_logged(int fs, struct step_report *report, enum call call, int rc,
		       const char *option)
{
	char line[DETAIL_SIZE];
	bool found = false;
	ssize_t got;

	while ((got = read(fs, line, sizeof(line) - 1)) > 0) {
		line[got] = '\0';
		if (line[got - 1] == '\n')
			line[got - 1] = '\0';
		if (strncmp(line, "e ", 2) == 0) {
			fail_detail(report, call, rc, line + 2);
			found = true;
		}
	}
	return found ? rc : fail_detail(report, call, rc, option);
}

/* Give the context an option: "key" or "key=value". */
static int set_option(int fs, const char *option, struct step_report *report)
{
	const char *equals = strchr(option, '=');
	size_t length = equals ? (size_t)(equals - option) : 0;
	char key[256];
	int rc;

	if (!equals) {
		rc = sys_fsconfig(fs, FSCONFIG_SET_FLAG, option, NULL, 0);
	} else if (length >= sizeof(key)) {
		rc = -EINVAL;
	} else {
		memcpy(key, option, length);
		key[length] = '\0';
		rc = sys_fsconfig(fs, FSCONFIG_SET_STRING, key, equals + 1, 0);
	}
	return rc < 0 ? fail_logged(fs, report, CALL_FSCONFIG, rc, option) : 0;
}

static int open_filesystem(const char *fstype, struct step_report *report)
{
	int fs = sys_fsopen(fstype);

	if (fs == -ENODEV)
		return fail_detail(report, CALL_FSOPEN, fs, "this kernel has no such file system");
	return fs < 0 ? fail(report, CALL_FSOPEN, fs) : fs;
}

/* Make the configured context a detached mount. */
static int make_mount(int fs, unsigned int attributes, struct step_report *report)
{
	int mount_fd, rc = sys_fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0);

	if (rc < 0)
		return fail_logged(fs, report, CALL_FSCONFIG, rc, "");
	mount_fd = sys_fsmount(fs, attributes);
	return mount_fd < 0 ? fail_logged(fs, report, CALL_FSMOUNT, mount_fd, "") : mount_fd;
}

int detached_tmpfs(const char *const *options, unsigned int attributes, struct step_report *report)
{
	AUTO_CLOSE int fs = open_filesystem("tmpfs", report);

	if (fs < 0)
		return fs;
	sys_fsconfig(fs, FSCONFIG_SET_STRING, "source", "tmpfs", 0); /* for mountinfo only */
	for (; *options; options++) {
		int rc = set_option(fs, *options, report);

		if (rc < 0)
			return rc;
	}
	return make_mount(fs, attributes, report);
}

/* "mode=0755" of the directory @fd, as a tmpfs that replaces it shall have. */
static int take_mode(int fs, int fd, struct step_report *report)
{
	char option[] = "mode=0000";
	struct stat st;

	if (fstat(fd, &st) < 0)
		return fail(report, CALL_FSTAT, -errno);
	for (int i = 0; i < 4; i++)
		option[5 + i] = (char)('0' + ((st.st_mode >> (3 * (3 - i))) & 7));
	return set_option(fs, option, report);
}

/* Change attributes of a mount; nothing to change is no call. @recursive is 0 or AT_RECURSIVE. */
static int change_attributes(int fd, int64_t set, int64_t clear, unsigned int recursive)
{
	struct mount_attr attr = { .attr_set = (uint64_t)set, .attr_clr = (uint64_t)clear };

	if (!set && !clear)
		return 0;
	return sys_mount_setattr(fd, "", AT_EMPTY_PATH | recursive, &attr);
}

/* Move a detached mount to its place; its propagation type is set last, where others see it. */
static int place_mount(int mount_fd, int target, int64_t propagation, struct step_report *report)
{
	int rc = sys_move_mount(mount_fd, target);

	if (rc < 0)
		return fail(report, CALL_MOVE_MOUNT, rc);
	if (propagation)
		rc = set_propagation(mount_fd, propagation);
	return rc < 0 ? fail(report, CALL_MOUNT_SETATTR, rc) : 0;
}

int op_mount_filesystem(struct init_ctx *ctx, const struct mount_filesystem_args *args,
			struct step_report *report)
{
	AUTO_CLOSE int target = -1;
	AUTO_CLOSE int idmap = args->idmap_fd;
	AUTO_CLOSE int fs = -1;
	AUTO_CLOSE int mount_fd = -1;
	bool existed;
	int fd, rc;

	fd = open_in_root(ctx->rootfs_fd, args->target, O_PATH | O_DIRECTORY);
	existed = fd >= 0;
	if (args->ordinary || fd == -ENOENT) {
		if (fd >= 0)
			close(fd);
		fd = args->ordinary ? open_ordinary_directory(ctx->rootfs_fd, args->target)
				    : open_or_make_directory(ctx->rootfs_fd, args->target, 0755);
	}
	if (args->ordinary && (fd == -ENOTDIR || fd == -ELOOP))
		return fail_detail(report, CALL_OPENAT2, fd, "must be mounted on ordinary directory");
	target = checked_target(ctx, fd, args->on_proc, report);
	if (target < 0)
		return target;

	fs = open_filesystem(args->fstype, report);
	if (fs < 0)
		return fs;
	rc = sys_fsconfig(fs, FSCONFIG_SET_STRING, "source", args->source_name, 0);
	if (rc < 0)
		return fail_logged(fs, report, CALL_FSCONFIG, rc, args->source_name);
	if (args->take_mode && existed) {
		rc = take_mode(fs, target, report);
		if (rc < 0)
			return rc;
	}
	for (const char *const *option = args->options; *option; option++) {
		rc = set_option(fs, *option, report);
		if (rc < 0)
			return rc;
	}
	mount_fd = make_mount(fs, (unsigned int)args->attr_set, report);
	if (mount_fd < 0)
		return mount_fd;

	if (args->copy_up && existed) {
		rc = copy_up(target, mount_fd, report);
		if (rc < 0)
			return rc;
	}
	if (idmap >= 0) {
		struct mount_attr attr = { .attr_set = MOUNT_ATTR_IDMAP,
					   .userns_fd = (uint64_t)idmap };

		rc = sys_mount_setattr(mount_fd, "", AT_EMPTY_PATH, &attr);
		if (rc < 0)
			return fail_detail(report, CALL_MOUNT_SETATTR, rc,
					   "this file system cannot be id-mapped here");
	}
	rc = change_attributes(mount_fd, args->recursive_set, args->recursive_clear, 0);
	if (rc < 0)
		return fail(report, CALL_MOUNT_SETATTR, rc);
	return place_mount(mount_fd, target, args->propagation, report);
}

/* ---------------------------------------------------------------- binds */

/*
 * Put our own copy of a mount in the place of the host's. In a user namespace it keeps the locks with
 * which the mount was inherited, so that the container cannot take back a "ro" of the host's. This
 * runs before become_root, while directories of the host's root may still be entered; where others
 * are in the way, or mounts that must not be separated, the host's copy has to do.
 */
int op_inherit_mount(struct init_ctx *ctx, const struct inherit_mount_args *args,
		     struct step_report *report)
{
	unsigned int recursive = args->recursive ? AT_RECURSIVE : 0;
	AUTO_CLOSE int fd = sys_open_tree(AT_FDCWD, args->path, OPEN_TREE_CLONE | recursive);

	(void)ctx;
	if (fd >= 0 && dup3(fd, args->tree, O_CLOEXEC) < 0)
		return fail(report, CALL_DUP3, -errno);
	return 0;
}

/*
 * A copy of the mount at the source as this namespace has inherited it, made now: /proc/PID/mountinfo
 * goes by age since Linux 6.8, so @args->tree, which is older than the namespace, would stand before
 * everything. -1 unless the path still leads to the very file that ocipy has opened.
 */
static int younger_copy(const struct mount_bind_args *args)
{
	unsigned int recursive = args->recursive ? AT_RECURSIVE : 0;
	int fd = sys_open_tree(AT_FDCWD, args->path, OPEN_TREE_CLONE | recursive);
	struct stat ours, opened;

	if (fd < 0)
		return -1;
	if (fstat(fd, &ours) == 0 && fstat(args->tree, &opened) == 0 &&
	    ours.st_dev == opened.st_dev && ours.st_ino == opened.st_ino)
		return fd;
	close(fd);
	return -1;
}

/*
 * A detached copy of the mount at the source: @args->tree where ocipy opened it. @args->or_path takes
 * the place of a source that has not come into being.
 */
static int bind_source(const struct mount_bind_args *args, struct step_report *report)
{
	unsigned int recursive = args->recursive ? AT_RECURSIVE : 0;
	int fd;

	if (args->tree >= 0) {
		fd = args->in_order ? younger_copy(args) : -1;
		if (fd < 0)
			return args->tree;
		close(args->tree);
		return fd;
	}
	fd = sys_open_tree(AT_FDCWD, args->path, OPEN_TREE_CLONE | recursive);
	if (fd == -ENOENT && *args->or_path)
		fd = sys_open_tree(AT_FDCWD, args->or_path, OPEN_TREE_CLONE | recursive);
	return fd < 0 ? fail(report, CALL_OPEN_TREE, fd) : fd;
}

/* EPERM: another user namespace has locked what would be cleared; keep it unless it was asked for. */
static int set_bind_attributes(int mount_fd, const struct mount_bind_args *args,
			       struct step_report *report)
{
	int rc;

	if (args->origin_propagation) {
		rc = set_propagation(mount_fd, args->origin_propagation);
		if (rc < 0)
			return fail(report, CALL_MOUNT_SETATTR, rc);
	}
	rc = change_attributes(mount_fd, args->attr_set, args->attr_clear | args->attr_reset, 0);
	if (rc == -EPERM && args->attr_reset)
		rc = change_attributes(mount_fd, args->attr_set, args->attr_clear, 0);
	if (rc == 0)
		rc = change_attributes(mount_fd, args->recursive_set, args->recursive_clear,
				       AT_RECURSIVE);
	if (rc == -EPERM)
		return fail_detail(report, CALL_MOUNT_SETATTR, rc,
				   "attributes that the host's mount has cannot be taken away here");
	return rc < 0 ? fail(report, CALL_MOUNT_SETATTR, rc) : 0;
}

static bool is_directory(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISDIR(st.st_mode);
}

int op_mount_bind(struct init_ctx *ctx, const struct mount_bind_args *args,
		  struct step_report *report)
{
	AUTO_CLOSE int mount_fd = bind_source(args, report);
	AUTO_CLOSE int target = -1;
	struct stat st;
	int fd, rc;

	if (mount_fd < 0)
		return mount_fd;
	if (fstat(mount_fd, &st) < 0)
		return fail(report, CALL_FSTAT, -errno);
	/* On /proc only another procfs may go: a fake one would take what ocipy writes to it. */
	if (args->of_proc && filesystem_magic(mount_fd) != PROC_SUPER_MAGIC)
		return fail_detail(report, CALL_FSTATFS, -EPERM, "the source is not of type proc");
	if (S_ISDIR(st.st_mode))
		fd = open_or_make_directory(ctx->rootfs_fd, args->target, 0755);
	else
		fd = open_or_make_file(ctx->rootfs_fd, args->target);
	target = checked_target(ctx, fd, args->on_proc, report);
	if (target < 0)
		return target;
	/* The kernel's word for a file on a directory is EINVAL, which says nothing. */
	if (!S_ISDIR(st.st_mode) && is_directory(target))
		return fail_detail(report, CALL_MOVE_MOUNT, -ENOTDIR,
				   "the source is a file, the destination a directory");
	rc = set_bind_attributes(mount_fd, args, report);
	return rc < 0 ? rc : place_mount(mount_fd, target, args->propagation, report);
}

/* ---------------------------------------------------------------- mount(2) */

/* For what the new calls cannot say; "." after fchdir(2) is the target, whatever its name is now. */
int op_mount_legacy(struct init_ctx *ctx, const struct mount_legacy_args *args,
		    struct step_report *report)
{
	AUTO_CLOSE int target = -1;
	AUTO_CLOSE int top = -1;
	int rc;

	target = open_or_make_directory(ctx->rootfs_fd, args->target, 0755);
	target = checked_target(ctx, target, false, report);
	if (target < 0)
		return target;
	if (fchdir(target) < 0)
		return fail(report, CALL_FCHDIR, -errno);
	if (mount(args->source_name, ".", args->fstype, (unsigned long)args->mount_flags,
		  args->data) < 0)
		return fail_detail(report, CALL_MOUNT, -errno, args->data);
	if (!args->propagation)
		return 0;
	top = open_in_root(ctx->rootfs_fd, args->target, O_PATH | O_DIRECTORY);
	if (top < 0)
		return fail(report, CALL_OPENAT2, top);
	rc = set_propagation(top, args->propagation);
	return rc < 0 ? fail(report, CALL_MOUNT_SETATTR, rc) : 0;
}

int op_remount(struct init_ctx *ctx, const struct remount_args *args, struct step_report *report)
{
	AUTO_CLOSE int target = open_in_root(ctx->rootfs_fd, args->target, O_PATH | O_DIRECTORY);

	if (target < 0)
		return fail(report, CALL_OPENAT2, target);
	if (fchdir(target) < 0)
		return fail(report, CALL_FCHDIR, -errno);
	if (mount(NULL, ".", NULL, MS_REMOUNT | (unsigned long)args->mount_flags, args->data) < 0)
		return fail_detail(report, CALL_MOUNT, -errno,
				   errno == EINVAL && !*args->data ? "no mount" : args->data);
	return 0;
}

int op_set_mount_attributes(struct init_ctx *ctx, const struct set_mount_attributes_args *args,
			    struct step_report *report)
{
	AUTO_CLOSE int target = open_in_root(ctx->rootfs_fd, args->target, O_PATH);
	struct mount_attr attr = { .attr_set = (uint64_t)args->attr_set,
				   .attr_clr = (uint64_t)args->attr_clear,
				   .propagation = (uint64_t)args->propagation & ~(uint64_t)MS_REC };
	bool recursive = args->recursive || args->propagation & MS_REC;
	int rc;

	if (target < 0)
		return fail(report, CALL_OPENAT2, target);
	rc = sys_mount_setattr(target, "", AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0), &attr);
	if (rc == -EINVAL)
		return fail_detail(report, CALL_MOUNT_SETATTR, rc, "nothing is mounted there");
	return rc < 0 ? fail(report, CALL_MOUNT_SETATTR, rc) : 0;
}
