/*
 * Paths below the container's root, resolved by the kernel and then held as descriptors.
 *
 * Whoever wrote the image, or shares a volume with the container, may rename, replace and link as we
 * go. So no path is ever joined or looked up twice: openat2(RESOLVE_IN_ROOT) treats ".." and absolute
 * links as if the container's root were the root, and what is missing is made one component at a
 * time, each by its name in a directory that is held (CVE-2021-30465, CVE-2024-45310).
 *
 * A link in the image may point to what does not exist yet (/var/run -> /run, without /run). The
 * component is then replaced by the link's content, and the path resolved again from the root.
 */
#define _GNU_SOURCE
#include "init.h"

#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#define LINKS_MAX 40 /* as the kernel's MAXSYMLINKS */
#define RACES_MAX 64

int open_in_root(int root_fd, const char *path, uint64_t flags)
{
	int fd;

	/* EAGAIN: something was renamed while ".." was resolved, so its result could not be trusted. */
	for (int i = 0; i < RACES_MAX; i++) {
		fd = sys_openat2(root_fd, path, flags, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
		if (fd != -EAGAIN)
			break;
	}
	return fd;
}

enum missing { MAKE_DIRECTORY, MAKE_FILE };

/* Make and open @name in @dir; a link is opened as itself, only seen as such by fstat(). */
static int make_component(int dir, const char *name, enum missing what, mode_t mode)
{
	int fd;

	if (what == MAKE_FILE) {
		fd = sys_openat(dir, name, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW, mode);
		if (fd != -EEXIST)
			return fd;
	} else if (mkdirat(dir, name, mode) < 0 && errno != EEXIST) {
		return -errno;
	}
	return sys_openat(dir, name, O_PATH | O_NOFOLLOW, 0);
}

/* Open the longest leading part of @path that exists; *rest becomes the offset of what does not. */
static int open_existing(int root_fd, char *path, size_t *rest)
{
	size_t end = strlen(path);
	int fd;

	do {
		while (end > 0 && path[end - 1] == '/')
			end--;
		while (end > 0 && path[end - 1] != '/')
			end--;
		*rest = end;
		if (end == 0)
			return open_in_root(root_fd, ".", O_PATH | O_DIRECTORY);
		path[end - 1] = '\0';
		fd = open_in_root(root_fd, *path ? path : ".", O_PATH | O_DIRECTORY);
		path[end - 1] = '/';
	} while (fd == -ENOENT);
	return fd;
}

/*
 * Put the content of the link @fd, component [@start, @end) of @path, in its place. 0 or -errno.
 */
static int expand_link(int fd, char path[PATH_MAX], size_t start, size_t end)
{
	char link[PATH_MAX];
	size_t tail = strlen(path + end) + 1;
	ssize_t length = readlinkat(fd, "", link, sizeof(link));

	if (length < 0)
		return -errno;
	if (length > 0 && link[0] == '/')
		start = 0;
	if (start + (size_t)length + tail > PATH_MAX)
		return -ENAMETOOLONG;
	memmove(path + start + length, path + end, tail);
	memcpy(path + start, link, (size_t)length);
	return 0;
}

/*
 * Make what @path lacks behind its longest existing part. Returns its descriptor, -errno, or 0 when
 * a link was met and @path now holds what it stands for. (A descriptor of ours is never 0.)
 */
static int make_rest(int root_fd, char path[PATH_MAX], enum missing what, mode_t mode)
{
	size_t start, end;
	int dir = open_existing(root_fd, path, &start);

	while (dir >= 0) {
		struct stat st;
		char saved;
		int fd, rc;

		start += strspn(path + start, "/");
		end = start + strcspn(path + start, "/");
		if (end == start)
			break; /* all is made; what follows a last slash is nothing */
		saved = path[end];
		path[end] = '\0';
		/* The kernel cannot say what ".." of a missing directory is, and nor can we. */
		if (strcmp(path + start, "..") == 0)
			fd = -ENOENT;
		else
			fd = make_component(dir, path + start,
					    what == MAKE_FILE && !saved ? MAKE_FILE : MAKE_DIRECTORY,
					    what == MAKE_FILE && !saved ? mode : 0755);
		path[end] = saved;
		close(dir);
		dir = fd;
		if (fd < 0)
			break;
		if (fstat(fd, &st) < 0)
			rc = -errno;
		else if (S_ISLNK(st.st_mode))
			rc = expand_link(fd, path, start, end);
		else if ((saved || what == MAKE_DIRECTORY) && !S_ISDIR(st.st_mode))
			rc = -ENOTDIR;
		else
			rc = 1;
		if (rc <= 0) {
			close(fd);
			return rc;
		}
		start = end;
	}
	return dir;
}

static int open_or_make(int root_fd, const char *path, enum missing what, mode_t mode)
{
	uint64_t flags = O_PATH | (what == MAKE_DIRECTORY ? O_DIRECTORY : 0);
	char work[PATH_MAX];
	int fd;

	if (strlen(path) >= sizeof(work))
		return -ENAMETOOLONG;
	strcpy(work, path);
	for (int links = 0; links < LINKS_MAX; links++) {
		fd = open_in_root(root_fd, work, flags);
		if (fd != -ENOENT)
			return fd;
		fd = make_rest(root_fd, work, what, mode);
		if (fd != 0)
			return fd;
	}
	return -ELOOP;
}

int open_or_make_directory(int root_fd, const char *path, mode_t mode)
{
	return open_or_make(root_fd, path, MAKE_DIRECTORY, mode);
}

int open_or_make_file(int root_fd, const char *path)
{
	return open_or_make(root_fd, path, MAKE_FILE, 0644);
}

/* The directory @name is in, of @path; 0 and "." when it has only one component. */
static int split_path(const char *path, char parent[PATH_MAX], const char **name)
{
	const char *slash = strrchr(path, '/');
	size_t length = slash ? (size_t)(slash - path) : 0;

	*name = slash ? slash + 1 : path;
	if (**name == '\0' || strcmp(*name, ".") == 0 || strcmp(*name, "..") == 0)
		return -EINVAL;
	if (length >= PATH_MAX)
		return -ENAMETOOLONG;
	memcpy(parent, path, length);
	strcpy(parent + length, length ? "" : ".");
	return 0;
}

/*
 * Devices and links of /dev are made below an image's own /dev or what is mounted there, but not where
 * a link called /dev points: that may be a volume of the host's (CVE-2026-41579).
 */
int open_or_make_parent(int root_fd, const char *path, const char **name)
{
	AUTO_CLOSE int dev = -1;
	char parent[PATH_MAX];
	int rc = split_path(path, parent, name);

	if (rc < 0)
		return rc;
	while (*path == '/')
		path++;
	if (strncmp(path, "dev/", 4) != 0)
		return open_or_make(root_fd, parent, MAKE_DIRECTORY, 0755);
	if (mkdirat(root_fd, "dev", 0755) < 0 && errno != EEXIST)
		return -errno;
	/* openat2 and not openat: it must cross into what is mounted there, as openat does, too. */
	dev = open_in_root(root_fd, "dev", O_PATH | O_DIRECTORY | O_NOFOLLOW);
	if (dev < 0)
		return dev;
	rc = split_path(path + 4, parent, name);
	return rc < 0 ? rc : open_or_make(dev, parent, MAKE_DIRECTORY, 0755);
}
