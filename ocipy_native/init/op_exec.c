/* The last steps: working directory, program, descriptors, the wait for `start`, and execve. */
#define _GNU_SOURCE
#include "init.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* linux/close_range.h is newer than some distributions' headers. */
#define OCIPY_CLOSE_RANGE_CLOEXEC (1U << 2)

/*
 * CVE-2024-21626: a working directory of /proc/self/fd/N leads out of the container. Descriptors of
 * the host are close-on-exec, but a directory stays open as working directory. open_in_root() does
 * not follow such links; and getcwd(2) shows a directory that is not below our root as
 * "(unreachable)", which libc would turn into an error of its own.
 */
static int check_inside(void)
{
	char path[PATH_MAX];
	long length = syscall(SYS_getcwd, path, sizeof(path));

	if (length < 0)
		return -errno;
	return path[0] == '/' ? 0 : -ENOENT;
}

int op_change_directory(struct init_ctx *ctx, const struct change_directory_args *args,
			struct step_report *report)
{
	AUTO_CLOSE int directory = open_in_root(ctx->rootfs_fd, args->path, O_PATH | O_DIRECTORY);
	int rc = directory;

	if (rc == -ENOENT && args->create) {
		directory = rc = open_or_make_directory(ctx->rootfs_fd, args->path, 0755);
		if (rc < 0)
			return fail(report, CALL_MKDIRAT, rc);
	}
	if (rc >= 0)
		rc = sys_result(fchdir(directory));
	/* Root may be refused where the user is not (NFS, FUSE): a second step tries as the user. */
	if (rc == -EACCES && args->defer)
		return 0;
	if (rc < 0)
		return fail(report, CALL_CHDIR, rc);
	rc = check_inside();
	return rc < 0 ? fail_detail(report, CALL_GETCWD, rc,
				    "the directory is outside of the container's root")
		      : 0;
}

int op_find_executable(struct init_ctx *ctx, const struct find_executable_args *args,
		       struct step_report *report)
{
	int rc = -ENOENT;

	for (const char *const *candidate = args->candidates; *candidate; candidate++) {
		struct stat st;

		if (stat(*candidate, &st) < 0) {
			/* Of several directories, the one that has the file says more than the others. */
			if (errno != ENOENT && errno != ENOTDIR)
				rc = -errno;
			else if (rc == -ENOENT)
				rc = -errno;
			continue;
		}
		if (S_ISDIR(st.st_mode)) {
			rc = -EISDIR;
			continue;
		}
		if (faccessat(AT_FDCWD, *candidate, X_OK, AT_EACCESS) < 0) {
			rc = -errno;
			continue;
		}
		ctx->executable = ctx->executable_buffer;
		if (strlen(*candidate) >= sizeof(ctx->executable_buffer))
			return fail(report, CALL_STAT, -ENAMETOOLONG);
		strcpy(ctx->executable_buffer, *candidate);
		return 0;
	}
	return fail(report, rc == -EACCES ? CALL_FACCESSAT : CALL_STAT, rc);
}

/* Field @number (from 0) of a line of passwd(5), ended by ':' or the line; NULL if there is none. */
static const char *passwd_field(const char *line, const char *end, int number)
{
	for (; number > 0; number--) {
		line = memchr(line, ':', (size_t)(end - line));
		if (!line)
			return NULL;
		line++;
	}
	return line;
}

static int is_number(const char *field, const char *end, const char *number)
{
	size_t length = strlen(number);

	return field && (size_t)(end - field) > length && memcmp(field, number, length) == 0 &&
	       field[length] == ':';
}

/* HOME as in the container's passwd(5), which is the image's: any content, of any length. */
int op_find_home(struct init_ctx *ctx, const struct find_home_args *args,
		 struct step_report *report)
{
	static char text[65536];
	char uid[DECIMAL_SIZE];
	const char *wanted = decimal(uid, (unsigned int)args->uid);
	AUTO_CLOSE int fd = open_in_root(ctx->rootfs_fd, "etc/passwd", O_RDONLY | O_NONBLOCK | O_NOCTTY);
	const char *home = "/", *end = text, *line;
	size_t length = 1;
	struct stat st;
	ssize_t got = 0;

	(void)report;
	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		got = read(fd, text, sizeof(text));
	for (line = text; got > 0 && line < text + got; line = end + 1) {
		const char *field, *stop;

		end = memchr(line, '\n', (size_t)(text + got - line));
		if (!end)
			end = text + got;
		if (!is_number(passwd_field(line, end, 2), end, wanted))
			continue;
		field = passwd_field(line, end, 5);
		stop = field ? memchr(field, ':', (size_t)(end - field)) : NULL;
		if (stop && stop > field && (size_t)(stop - field) < sizeof(ctx->home) - 5) {
			home = field;
			length = (size_t)(stop - field);
		}
		break;
	}
	memcpy(ctx->home, "HOME=", 5);
	memcpy(ctx->home + 5, home, length);
	ctx->home[5 + length] = '\0';
	return 0;
}

int op_keep_descriptors(struct init_ctx *ctx, const struct keep_descriptors_args *args,
			struct step_report *report)
{
	long rc = syscall(SYS_close_range, (unsigned int)args->count + 3, ~0U,
			  OCIPY_CLOSE_RANGE_CLOEXEC);

	(void)ctx;
	if (rc < 0)
		return fail(report, CALL_CLOSE_RANGE, -errno);
	/* What the caller asked to keep reaches the program even if it came to us close-on-exec. */
	for (int fd = 3; fd < (int)args->count + 3; fd++)
		if (fcntl(fd, F_SETFD, 0) < 0 && errno != EBADF)
			return fail(report, CALL_CLOSE_RANGE, -errno);
	return 0;
}

static void close_context_fds(struct init_ctx *ctx)
{
	int *const fds[] = { &ctx->proc_fd, &ctx->devnull_fd, &ctx->empty_fd, &ctx->rootfs_fd };

	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
		close_owned_fd(fds[i]);
		*fds[i] = -1;
	}
}

/*
 * Both fifos were opened by the host, for reading and writing: so the one has a writer, ourselves,
 * and read(2) waits for a byte instead of meeting the end of the file; and writing to the other never
 * fails for want of a reader. From here on it is `start` that hears of failures, and the end of file at
 * execve that tells it of success. Nothing else of the host's stays open while we wait.
 */
int op_await_start(struct init_ctx *ctx, const struct await_start_args *args,
		   struct step_report *report)
{
	ssize_t got;
	char byte;

	(void)report;
	close_context_fds(ctx);
	close(ctx->sync_fd);
	ctx->sync_fd = -1;
	ctx->report_fd = args->report;
	fcntl(args->report, F_SETFD, FD_CLOEXEC);
	do {
		got = read(args->fifo, &byte, 1);
	} while (got < 0 && errno == EINTR);
	if (got != 1)
		_exit(1);
	close(args->fifo);
	return 0;
}

int op_exec(struct init_ctx *ctx, const struct exec_args *args, struct step_report *report)
{
	const char **env = (const char **)(uintptr_t)args->env;

	for (; *env; env++)
		if (ctx->home[0] && strcmp(*env, "HOME=") == 0)
			*env = ctx->home;
	execve(ctx->executable, (char *const *)(uintptr_t)args->argv,
	       (char *const *)(uintptr_t)args->env);
	return fail(report, CALL_EXECVE, -errno);
}
