/*
 * copy_up: fill a new tmpfs with what the directory below it holds (the mount option `tmpcopyup`).
 *
 * The tree belongs to the image, so it may hold anything: each entry is looked at before it is opened,
 * opened without following a link, and looked at again. Owners, modes, times and links are kept, hard
 * links become copies, and what is neither file, directory nor link is made anew.
 */
#define _GNU_SOURCE
#include "init.h"
#include "mounting.h"

#include <dirent.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#define DEPTH_MAX 64

/* As the kernel writes them; musl's struct dirent happens to be the same, glibc's need not be. */
struct entry {
	uint64_t inode;
	int64_t offset;
	uint16_t length;
	uint8_t type;
	char name[];
};

static int copy_content(int from, int to, const char *name, struct step_report *report)
{
	ssize_t copied;

	do {
		copied = copy_file_range(from, NULL, to, NULL, 1 << 30, 0);
	} while (copied > 0);
	if (copied < 0 && (errno == EXDEV || errno == EINVAL || errno == EOPNOTSUPP)) {
		char buffer[16384];

		while ((copied = read(from, buffer, sizeof(buffer))) > 0)
			for (ssize_t at = 0, done; at < copied; at += done) {
				done = write(to, buffer + at, (size_t)(copied - at));
				if (done < 0)
					return fail_detail(report, CALL_WRITE, -errno, name);
			}
	}
	return copied < 0 ? fail_detail(report, CALL_COPY_FILE_RANGE, -errno, name) : 0;
}

/* Owner first: chown(2) takes set-user-id bits away. Times last. */
static int copy_metadata(int to, const char *name, const struct stat *st,
			 struct step_report *report)
{
	const struct timespec times[2] = { st->st_atim, st->st_mtim };

	if (fchownat(to, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0)
		return fail_detail(report, CALL_FCHOWNAT, -errno, name);
	if (!S_ISLNK(st->st_mode) && fchmodat(to, name, st->st_mode & 07777, 0) < 0)
		return fail_detail(report, CALL_FCHMODAT, -errno, name);
	if (utimensat(to, name, times, AT_SYMLINK_NOFOLLOW) < 0)
		return fail_detail(report, CALL_UTIMENSAT, -errno, name);
	return 0;
}

static int copy_file(int from, int to, const char *name, struct step_report *report)
{
	AUTO_CLOSE int in = sys_openat(from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
	AUTO_CLOSE int out = -1;
	struct stat st;

	if (in < 0)
		return fail_detail(report, CALL_OPENAT, in, name);
	if (fstat(in, &st) < 0 || !S_ISREG(st.st_mode))
		return fail_detail(report, CALL_OPENAT, -ESTALE, name);
	out = sys_openat(to, name, O_WRONLY | O_CREAT | O_EXCL, 0600);
	if (out < 0)
		return fail_detail(report, CALL_OPENAT, out, name);
	return copy_content(in, out, name, report);
}

static int copy_link(int from, int to, const char *name, struct step_report *report)
{
	char content[PATH_MAX];
	ssize_t length = readlinkat(from, name, content, sizeof(content) - 1);

	if (length < 0)
		return fail_detail(report, CALL_READLINKAT, -errno, name);
	content[length] = '\0';
	return symlinkat(content, to, name) < 0 ? fail_detail(report, CALL_SYMLINKAT, -errno, name) : 0;
}

static int copy_directory(int from, int to, int depth, struct step_report *report);

static int copy_entry(int from, int to, const char *name, int depth, struct step_report *report)
{
	struct stat st;
	int rc;

	if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return fail_detail(report, CALL_FSTAT, -errno, name);
	if (S_ISDIR(st.st_mode)) {
		AUTO_CLOSE int in = sys_openat(from, name, O_PATH | O_DIRECTORY | O_NOFOLLOW, 0);
		AUTO_CLOSE int out = -1;

		if (in < 0)
			return fail_detail(report, CALL_OPENAT, in, name);
		if (mkdirat(to, name, 0700) < 0)
			return fail_detail(report, CALL_MKDIRAT, -errno, name);
		out = sys_openat(to, name, O_PATH | O_DIRECTORY | O_NOFOLLOW, 0);
		if (out < 0)
			return fail_detail(report, CALL_OPENAT, out, name);
		rc = copy_directory(in, out, depth, report);
	} else if (S_ISREG(st.st_mode)) {
		rc = copy_file(from, to, name, report);
	} else if (S_ISLNK(st.st_mode)) {
		rc = copy_link(from, to, name, report);
	} else {
		rc = mknodat(to, name, st.st_mode & (S_IFMT | 0777), st.st_rdev) < 0
			     ? fail_detail(report, CALL_MKNODAT, -errno, name)
			     : 0;
	}
	return rc < 0 ? rc : copy_metadata(to, name, &st, report);
}

static int copy_directory(int from, int to, int depth, struct step_report *report)
{
	AUTO_CLOSE int listing = sys_openat(from, ".", O_RDONLY | O_DIRECTORY, 0);
	_Alignas(struct entry) char buffer[2048];
	int got, rc;

	if (listing < 0)
		return fail(report, CALL_OPENAT, listing);
	if (depth == 0)
		return fail_detail(report, CALL_NONE, -ELOOP, "tmpcopyup: directories too deep");
	while ((got = sys_result(syscall(SYS_getdents64, listing, buffer, sizeof(buffer)))) > 0) {
		const struct entry *entry;

		for (int at = 0; at < got; at += entry->length) {
			entry = (const struct entry *)(const void *)(buffer + at);
			if (strcmp(entry->name, ".") == 0 || strcmp(entry->name, "..") == 0)
				continue;
			rc = copy_entry(listing, to, entry->name, depth - 1, report);
			if (rc < 0)
				return rc;
		}
	}
	return got < 0 ? fail(report, CALL_GETDENTS64, got) : 0;
}

int copy_up(int from, int to, struct step_report *report)
{
	return copy_directory(from, to, DEPTH_MAX, report);
}
