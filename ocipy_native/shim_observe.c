/* What it takes to watch a container from outside: events of directories, descriptors of others. */
#define _GNU_SOURCE
#include "shim_observe.h"

#include <errno.h>
#include <sys/inotify.h>
#include <sys/syscall.h>
#include <unistd.h>

int ocipy_inotify(void)
{
	int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);

	return fd < 0 ? -errno : fd;
}

int ocipy_inotify_watch(int inotify_fd, const char *path, uint32_t mask)
{
	int watch = inotify_add_watch(inotify_fd, path, mask);

	return watch < 0 ? -errno : watch;
}

int ocipy_pidfd_getfd(int pidfd, int fd)
{
	long copy = syscall(SYS_pidfd_getfd, pidfd, fd, 0);

	return copy < 0 ? -errno : (int)copy;
}
