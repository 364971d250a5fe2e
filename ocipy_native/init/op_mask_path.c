/*
 * mask_path and read_only_path: what the container may not read, or not write. Spec
 * (config-linux.md#masked-paths, #readonly-paths).
 *
 * Each path is resolved once and then used as a descriptor. Whoever wrote the image, or shares a volume
 * with the container, may swap any component while we run; and the cover is the /dev/null of the host,
 * because one in the image, replaced by a link, would have us bind a file of the attacker's choice
 * (CVE-2025-31133). A path that does not exist is already unreadable: success.
 */
#define _GNU_SOURCE
#include "init.h"
#include "mounting.h"

#include <stdbool.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

static bool is_absent(int rc)
{
	return rc == -ENOENT || rc == -ENOTDIR;
}

/* One empty tmpfs serves for all directories: each superblock costs the kernel 10 KiB and more. */
static int empty_directory(struct init_ctx *ctx, const char *label, struct step_report *report)
{
	const char *options[] = { "ro", "nr_blocks=1", "nr_inodes=1", *label ? label : NULL, NULL };

	if (ctx->empty_fd < 0)
		ctx->empty_fd = detached_tmpfs(options, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID |
							MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC,
					       report);
	return ctx->empty_fd;
}

/*
 * Before Linux 6.15 a mount must be in a mount namespace to be copied. The first target gets the
 * detached one itself: it is attached then, and the copies are made from it.
 */
static int put_cover(int cover, int target, struct step_report *report)
{
	AUTO_CLOSE int copy = sys_open_tree(cover, "", AT_EMPTY_PATH | OPEN_TREE_CLONE);
	int rc;

	if (copy < 0 && copy != -EINVAL)
		return fail(report, CALL_OPEN_TREE, copy);
	/* A copy has the propagation of its model: for /dev/null, of the host's /dev. */
	rc = set_propagation(copy >= 0 ? copy : cover, MS_PRIVATE);
	if (rc < 0)
		return fail(report, CALL_MOUNT_SETATTR, rc);
	rc = sys_move_mount(copy >= 0 ? copy : cover, target);
	return rc < 0 ? fail(report, CALL_MOVE_MOUNT, rc) : 0;
}

int op_mask_path(struct init_ctx *ctx, const struct mask_path_args *args,
		 struct step_report *report)
{
	AUTO_CLOSE int target = open_in_root(ctx->rootfs_fd, args->path, O_PATH);
	struct stat st;
	int cover;

	if (is_absent(target))
		return 0;
	if (target < 0)
		return fail(report, CALL_OPENAT2, target);
	if (fstat(target, &st) < 0)
		return fail(report, CALL_FSTAT, -errno);
	cover = S_ISDIR(st.st_mode) ? empty_directory(ctx, args->label, report) : ctx->devnull_fd;
	return cover < 0 ? cover : put_cover(cover, target, report);
}

int op_read_only_path(struct init_ctx *ctx, const struct read_only_path_args *args,
		      struct step_report *report)
{
	AUTO_CLOSE int target = open_in_root(ctx->rootfs_fd, args->path, O_PATH);
	AUTO_CLOSE int copy = -1;
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY };
	int rc;

	if (is_absent(target))
		return 0;
	if (target < 0)
		return fail(report, CALL_OPENAT2, target);
	copy = sys_open_tree(target, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | AT_RECURSIVE);
	if (copy < 0)
		return fail(report, CALL_OPEN_TREE, copy);
	rc = sys_mount_setattr(copy, "", AT_EMPTY_PATH, &attr);
	if (rc < 0)
		return fail(report, CALL_MOUNT_SETATTR, rc);
	rc = sys_move_mount(copy, target);
	return rc < 0 ? fail(report, CALL_MOVE_MOUNT, rc) : 0;
}
