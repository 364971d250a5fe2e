/*
 * Raw system calls that return -errno, for the calls that libc lacks or wraps with a lock, a cache or
 * a signal to other threads (musl's setuid family). init has one thread and no use for them.
 */
#ifndef OCIPY_SYS_H
#define OCIPY_SYS_H

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

static inline void close_owned_fd(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

/* The descriptor is closed when the variable goes out of scope; -1 is none. */
#define AUTO_CLOSE __attribute__((cleanup(close_owned_fd)))

static inline int sys_result(long rc)
{
	return rc < 0 ? -errno : (int)rc;
}

static inline int sys_openat2(int dirfd, const char *path, uint64_t flags, uint64_t resolve)
{
	struct open_how how = { .flags = flags | O_CLOEXEC, .resolve = resolve };

	/* O_CREAT without a mode is refused, and no other flag may have one. */
	if (flags & O_CREAT)
		how.mode = 0644;
	return sys_result(syscall(SYS_openat2, dirfd, path, &how, sizeof(how)));
}

static inline int sys_openat(int dirfd, const char *path, int flags, unsigned int mode)
{
	return sys_result(openat(dirfd, path, flags | O_CLOEXEC, mode));
}

static inline int sys_fsopen(const char *fstype)
{
	return sys_result(syscall(SYS_fsopen, fstype, FSOPEN_CLOEXEC));
}

static inline int sys_fsconfig(int fd, unsigned int cmd, const char *key, const void *value, int aux)
{
	return sys_result(syscall(SYS_fsconfig, fd, cmd, key, value, aux));
}

static inline int sys_fsmount(int fd, unsigned int attributes)
{
	return sys_result(syscall(SYS_fsmount, fd, FSMOUNT_CLOEXEC, attributes));
}

static inline int sys_open_tree(int dirfd, const char *path, unsigned int flags)
{
	return sys_result(syscall(SYS_open_tree, dirfd, path, flags | OPEN_TREE_CLOEXEC));
}

/* Move the mount that @from is the root of onto what @to refers to, both by descriptor. */
static inline int sys_move_mount(int from, int to)
{
	return sys_result(syscall(SYS_move_mount, from, "", to, "",
				  MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH));
}

static inline int sys_mount_setattr(int dirfd, const char *path, unsigned int flags,
				    struct mount_attr *attr)
{
	return sys_result(syscall(SYS_mount_setattr, dirfd, path, flags, attr, sizeof(*attr)));
}

static inline int sys_pivot_root(const char *new_root, const char *put_old)
{
	return sys_result(syscall(SYS_pivot_root, new_root, put_old));
}

#endif
