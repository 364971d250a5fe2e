/*
 * path.c under test: `paths ROOT` reads lines "KIND PATH" and answers each with what the descriptor it
 * gets is, or the error. `paths ROOT COUNT KIND PATH` does one COUNT times and answers how often each
 * came out; the test may change the tree meanwhile.
 */
#define _GNU_SOURCE
#include "init.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static int call(int root, const char *kind, const char *path, const char **name)
{
	*name = "";
	if (strcmp(kind, "open") == 0)
		return open_in_root(root, path, O_PATH);
	if (strcmp(kind, "directory") == 0)
		return open_or_make_directory(root, path, 0755);
	if (strcmp(kind, "file") == 0)
		return open_or_make_file(root, path);
	if (strcmp(kind, "parent") == 0)
		return open_or_make_parent(root, path, name);
	abort();
}

static void answer(int fd, const char *name)
{
	char link[64], target[PATH_MAX];
	ssize_t length;

	if (fd < 0) {
		printf("%s\n", strerrorname_np(-fd));
		return;
	}
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	length = readlink(link, target, sizeof(target));
	printf("%.*s%s%s\n", (int)length, target, *name ? " " : "", name);
}

int main(int argc, char **argv)
{
	int root = open(argv[1], O_PATH | O_DIRECTORY | O_CLOEXEC);
	char kind[16], path[PATH_MAX + 64];
	const char *name;

	if (root < 0)
		return 2;
	if (argc == 2) {
		while (scanf("%15s %4159[^\n]", kind, path) == 2) {
			int fd = call(root, kind, path, &name);

			answer(fd, name);
			close_owned_fd(&fd);
		}
		return 0;
	}
	for (int i = 0; i < atoi(argv[2]); i++) {
		int fd = call(root, argv[3], argv[4], &name);
		struct stat st;

		if (fd >= 0 && fstat(fd, &st) == 0)
			printf("%lu:%lu\n", (unsigned long)st.st_dev, (unsigned long)st.st_ino);
		else
			answer(fd, "");
		close_owned_fd(&fd);
	}
	return 0;
}
