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
 * the host are close-on-exec, but a directory stays open as working directory. getcwd(2) shows one
 * that is not below our root as "(unreachable)", which libc would turn into an error of its own.
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
	int rc = sys_result(chdir(args->path));

	if (rc == -ENOENT && args->create) {
		int directory = open_or_make_directory(ctx->rootfs_fd, args->path, 0755);

		if (directory < 0)
			return fail(report, CALL_MKDIRAT, directory);
		close(directory);
		rc = sys_result(chdir(args->path));
	}
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

/*
 * Opening a fifo for writing blocks until somebody opens it for reading: `start` does. From here on
 * it is `start` that hears of failures, and the end of file at execve that tells it of success.
 */
int op_await_start(struct init_ctx *ctx, const struct await_start_args *args,
		   struct step_report *report)
{
	char name[DECIMAL_SIZE];
	AUTO_CLOSE int fds = sys_openat(ctx->proc_fd, "self/fd", O_PATH | O_DIRECTORY, 0);
	int rc;

	if (fds < 0)
		return fail(report, CALL_OPENAT, fds);
	/* While we wait, nothing of the host's stays open but the fifo and this directory. */
	close(ctx->proc_fd);
	ctx->proc_fd = -1;
	close(ctx->sync_fd);
	ctx->sync_fd = -1;
	do {
		rc = sys_openat(fds, decimal(name, (unsigned int)args->fifo), O_WRONLY, 0);
	} while (rc == -EINTR);
	if (rc < 0)
		_exit(1); /* nobody to tell: the host has gone, start has not come */
	ctx->report_fd = rc;
	return 0;
}

int op_exec(struct init_ctx *ctx, const struct exec_args *args, struct step_report *report)
{
	execve(ctx->executable, (char *const *)(uintptr_t)args->argv,
	       (char *const *)(uintptr_t)args->env);
	return fail(report, CALL_EXECVE, -errno);
}
