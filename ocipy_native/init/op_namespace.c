/* The conversation with the host, and what makes or configures namespaces. */
#define _GNU_SOURCE
#include "init.h"

#include <grp.h>
#include <linux/keyctl.h>
#include <linux/magic.h>
#include <linux/sched.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

int op_await_host(struct init_ctx *ctx, const struct await_host_args *args,
		  struct step_report *report)
{
	struct message message = { .kind = MESSAGE_AWAIT, .step = ctx->step };
	int rc;

	(void)args;
	rc = send_message(ctx->sync_fd, &message, -1);
	if (rc < 0)
		return fail(report, CALL_SENDMSG, rc);
	rc = await_go(ctx->sync_fd);
	if (rc == -EPIPE)
		_exit(1);
	return rc < 0 ? fail(report, CALL_RECVMSG, rc) : 0;
}

/*
 * A thread that moves itself, by the file `tasks` of v1, takes none of the locks for which a move by
 * the host waits 10 ms: a whole RCU grace period. We have one thread.
 */
int op_enter_cgroup(struct init_ctx *ctx, const struct enter_cgroup_args *args,
		    struct step_report *report)
{
	int rc = sys_result(write(args->tasks_fd, "0", 1));

	(void)ctx;
	close(args->tasks_fd);
	return rc < 0 ? fail(report, CALL_WRITE, rc) : 0;
}

int op_join_namespace(struct init_ctx *ctx, const struct join_namespace_args *args,
		      struct step_report *report)
{
	int rc;

	(void)ctx;
	/* With the type given, setns(2) refuses a file of another type. Spec: MUST be an error. */
	rc = sys_result(setns(args->ns_fd, (int)args->clone_flag));
	return rc < 0 ? fail(report, CALL_SETNS, rc) : 0;
}

/*
 * A process cannot enter a pid or time namespace, only its children do. CLONE_PARENT makes the child
 * one of ocipy's, so that the intermediate process can go at once. The pid is the host's, because
 * joining a pid namespace does not change the namespace in which we see our children's pids.
 */
int op_fork_init(struct init_ctx *ctx, const struct fork_init_args *args,
		 struct step_report *report)
{
	struct clone_args clone = { .flags = (uint64_t)args->clone_flags | CLONE_PARENT };
	struct message message = { .kind = MESSAGE_FORKED, .step = ctx->step };
	long pid;

	/* A seccomp filter cannot look into the arguments of clone3(2), so many forbid it. */
	if (args->clone_flags)
		pid = syscall(SYS_clone3, &clone, sizeof(clone));
	else
		pid = syscall(SYS_clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0);
	if (pid < 0)
		return fail(report, args->clone_flags ? CALL_CLONE3 : CALL_CLONE, -errno);
	if (pid == 0)
		return 0;
	message.value = pid;
	_exit(send_message(ctx->sync_fd, &message, -1) < 0);
}

int op_unshare(struct init_ctx *ctx, const struct unshare_args *args, struct step_report *report)
{
	int rc = sys_result(unshare((int)args->clone_flag));

	(void)ctx;
	return rc < 0 ? fail(report, CALL_UNSHARE, rc) : 0;
}

static int write_whole(int fd, const char *text)
{
	size_t length = strlen(text);
	ssize_t written = write(fd, text, length);

	if (written < 0)
		return -errno;
	return (size_t)written == length ? 0 : -EIO;
}

int op_set_time_offsets(struct init_ctx *ctx, const struct set_time_offsets_args *args,
			struct step_report *report)
{
	AUTO_CLOSE int fd = sys_openat(AT_FDCWD, "/proc/self/timens_offsets", O_WRONLY, 0);
	int rc;

	(void)ctx;
	if (fd < 0)
		return fail(report, CALL_OPENAT, fd);
	rc = write_whole(fd, args->lines);
	return rc < 0 ? fail(report, CALL_WRITE, rc) : 0;
}

int op_become_root(struct init_ctx *ctx, const struct become_root_args *args,
		   struct step_report *report)
{
	(void)ctx;
	(void)args;
	/* EPERM: setgroups is denied in this user namespace, and the groups are left as they are. */
	if (syscall(SYS_setgroups, 0, NULL) < 0 && errno != EPERM)
		return fail(report, CALL_SETGROUPS, -errno);
	if (syscall(SYS_setresgid, 0, 0, 0) < 0)
		return fail(report, CALL_SETRESGID, -errno);
	if (syscall(SYS_setresuid, 0, 0, 0) < 0)
		return fail(report, CALL_SETRESUID, -errno);
	prctl(PR_SET_DUMPABLE, 0);
	return 0;
}

int op_join_session_keyring(struct init_ctx *ctx, const struct join_session_keyring_args *args,
			    struct step_report *report)
{
	/* So that the container cannot search the keys of whoever started it, or of other containers. */
	long ring = syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, args->keyring);

	(void)ctx;
	/* ENOSYS: a kernel without keys, or a filter around us that hides them: nothing to protect. */
	if (ring < 0 && errno != ENOSYS)
		return fail(report, CALL_KEYCTL, -errno);
	return 0;
}

int op_new_session(struct init_ctx *ctx, const struct new_session_args *args,
		   struct step_report *report)
{
	(void)ctx;
	(void)args;
	/* EPERM: we lead a process group already, and so a session of our own. */
	if (setsid() < 0 && errno != EPERM)
		return fail(report, CALL_SETSID, -errno);
	return 0;
}

int op_bring_up_loopback(struct init_ctx *ctx, const struct bring_up_loopback_args *args,
			 struct step_report *report)
{
	AUTO_CLOSE int fd = sys_result(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
	struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP };

	(void)ctx;
	(void)args;
	if (fd < 0)
		return fail(report, CALL_SOCKET, fd);
	if (ioctl(fd, SIOCSIFFLAGS, &request) < 0)
		return fail(report, CALL_IOCTL, -errno);
	return 0;
}

int op_set_hostname(struct init_ctx *ctx, const struct set_hostname_args *args,
		    struct step_report *report)
{
	int rc = sys_result(sethostname(args->hostname, strlen(args->hostname)));

	(void)ctx;
	return rc < 0 ? fail(report, CALL_SETHOSTNAME, rc) : 0;
}

int op_set_domainname(struct init_ctx *ctx, const struct set_domainname_args *args,
		      struct step_report *report)
{
	int rc = sys_result(setdomainname(args->domainname, strlen(args->domainname)));

	(void)ctx;
	return rc < 0 ? fail(report, CALL_SETDOMAINNAME, rc) : 0;
}

/*
 * The host's /proc, while no path yet leads through the container's file system: the container's own
 * may be anything (CVE-2019-16884), but /proc/self of this one is us, in whatever namespaces.
 */
int op_open_proc(struct init_ctx *ctx, const struct open_proc_args *args,
		 struct step_report *report)
{
	struct stat st;
	int rc;

	(void)args;
	rc = sys_openat(AT_FDCWD, "/proc", O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	if (rc < 0)
		return fail_detail(report, CALL_OPENAT, rc, "/proc of the host");
	ctx->proc_fd = rc;
	if (filesystem_magic(ctx->proc_fd) != PROC_SUPER_MAGIC)
		return fail_detail(report, CALL_FSTATFS, -EINVAL, "/proc of the host is no procfs");
	rc = sys_openat(AT_FDCWD, "/dev/null", O_PATH | O_NOFOLLOW, 0);
	if (rc < 0)
		return fail_detail(report, CALL_OPENAT, rc, "/dev/null of the host");
	ctx->devnull_fd = rc;
	if (fstat(ctx->devnull_fd, &st) < 0 || !S_ISCHR(st.st_mode) || st.st_rdev != makedev(1, 3))
		return fail_detail(report, CALL_OPENAT, -EINVAL, "/dev/null of the host is another file");
	return 0;
}

int op_write_sysctl(struct init_ctx *ctx, const struct write_sysctl_args *args,
		    struct step_report *report)
{
	AUTO_CLOSE int sys_fd = -1;
	AUTO_CLOSE int fd = -1;
	int rc;

	/* Nothing may be mounted over the file, and no link leads away (CVE-2025-52881). */
	sys_fd = sys_openat(ctx->proc_fd, "sys", O_PATH | O_DIRECTORY | O_NOFOLLOW, 0);
	if (sys_fd < 0)
		return fail(report, CALL_OPENAT2, sys_fd);
	fd = sys_openat2(sys_fd, args->path, O_WRONLY,
			 RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV);
	if (fd < 0)
		return fail(report, CALL_OPENAT2, fd);
	if (filesystem_magic(fd) != PROC_SUPER_MAGIC)
		return fail(report, CALL_FSTATFS, -EINVAL);
	rc = write_whole(fd, args->value);
	return rc < 0 ? fail(report, CALL_WRITE, rc) : 0;
}
