/* What the container process is: scheduling, identity, privileges. */
#define _GNU_SOURCE
#include "init.h"

#include <linux/capability.h>
#include <linux/magic.h>
#include <linux/seccomp.h>
#include <linux/filter.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/stat.h>

/* linux/sched/types.h collides with musl's sched.h. */
struct kernel_sched_attr {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
};

#define IOPRIO_WHO_PROCESS 1

int op_set_personality(struct init_ctx *ctx, const struct set_personality_args *args,
		       struct step_report *report)
{
	int rc = sys_result(personality((unsigned long)args->persona));

	(void)ctx;
	return rc < 0 ? fail(report, CALL_PERSONALITY, rc) : 0;
}

int op_set_scheduler(struct init_ctx *ctx, const struct set_scheduler_args *args,
		     struct step_report *report)
{
	struct kernel_sched_attr attr = {
		.size = sizeof(attr),
		.policy = (uint32_t)args->policy,
		.flags = (uint64_t)args->sched_flags,
		.nice = (int32_t)args->nice,
		.priority = (uint32_t)args->priority,
		.runtime = (uint64_t)args->runtime_ns,
		.deadline = (uint64_t)args->deadline_ns,
		.period = (uint64_t)args->period_ns,
	};
	int rc = sys_result(syscall(SYS_sched_setattr, 0, &attr, 0));

	(void)ctx;
	return rc < 0 ? fail(report, CALL_SCHED_SETATTR, rc) : 0;
}

int op_set_io_priority(struct init_ctx *ctx, const struct set_io_priority_args *args,
		       struct step_report *report)
{
	int rc = sys_result(syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, (int)args->priority));

	(void)ctx;
	return rc < 0 ? fail(report, CALL_IOPRIO_SET, rc) : 0;
}

int op_set_cpu_affinity(struct init_ctx *ctx, const struct set_cpu_affinity_args *args,
			struct step_report *report)
{
	int rc = sys_result(syscall(SYS_sched_setaffinity, 0, args->mask.length, args->mask.data));

	(void)ctx;
	return rc < 0 ? fail(report, CALL_SCHED_SETAFFINITY, rc) : 0;
}

int op_set_memory_policy(struct init_ctx *ctx, const struct set_memory_policy_args *args,
			 struct step_report *report)
{
	/* The kernel reads maxnode - 1 bits. */
	unsigned long bits = args->nodes.length ? args->nodes.length * 8UL + 1 : 0;
	int rc = sys_result(syscall(SYS_set_mempolicy, (int)args->mode,
				    bits ? args->nodes.data : NULL, bits));

	(void)ctx;
	return rc < 0 ? fail(report, CALL_SET_MEMPOLICY, rc) : 0;
}

int op_set_rlimit(struct init_ctx *ctx, const struct set_rlimit_args *args,
		  struct step_report *report)
{
	uint64_t limit[2] = { (uint64_t)args->soft, (uint64_t)args->hard };
	int rc = sys_result(syscall(SYS_prlimit64, 0, (int)args->resource, limit, NULL));

	(void)ctx;
	return rc < 0 ? fail(report, CALL_PRLIMIT, rc) : 0;
}

int op_set_umask(struct init_ctx *ctx, const struct set_umask_args *args,
		 struct step_report *report)
{
	(void)ctx;
	(void)report;
	umask((mode_t)args->umask);
	return 0;
}

int op_set_no_new_privileges(struct init_ctx *ctx, const struct set_no_new_privileges_args *args,
			     struct step_report *report)
{
	int rc = sys_result(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));

	(void)ctx;
	(void)args;
	return rc < 0 ? fail(report, CALL_PRCTL, rc) : 0;
}

int op_drop_bounding_set(struct init_ctx *ctx, const struct drop_bounding_set_args *args,
			 struct step_report *report)
{
	(void)ctx;
	/* PR_CAPBSET_READ answers -EINVAL past the last capability of this kernel. */
	for (int cap = 0; cap < 64; cap++) {
		int present = prctl(PR_CAPBSET_READ, cap, 0, 0, 0);

		if (present < 0)
			break;
		if (present && !((uint64_t)args->keep >> cap & 1) &&
		    prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
			return fail(report, CALL_PRCTL, -errno);
	}
	return 0;
}

int op_set_user(struct init_ctx *ctx, const struct set_user_args *args,
		struct step_report *report)
{
	uid_t uid = (uid_t)args->uid;
	gid_t gid = (gid_t)args->gid;

	(void)ctx;
	/* Without it, leaving uid 0 clears the capabilities that set_capabilities is to choose from. */
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
		return fail(report, CALL_PRCTL, -errno);
	if (args->set_groups &&
	    syscall(SYS_setgroups, args->groups.length / sizeof(gid_t), args->groups.data) < 0)
		return fail(report, CALL_SETGROUPS, -errno);
	if (syscall(SYS_setresgid, gid, gid, gid) < 0)
		return fail(report, CALL_SETRESGID, -errno);
	if (syscall(SYS_setresuid, uid, uid, uid) < 0)
		return fail(report, CALL_SETRESUID, -errno);
	if (prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0) < 0)
		return fail(report, CALL_PRCTL, -errno);
	return 0;
}

int op_set_capabilities(struct init_ctx *ctx, const struct set_capabilities_args *args,
			struct step_report *report)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	(void)ctx;
	for (int half = 0; half < 2; half++) {
		data[half].effective = (uint32_t)((uint64_t)args->effective >> (32 * half));
		data[half].permitted = (uint32_t)((uint64_t)args->permitted >> (32 * half));
		data[half].inheritable = (uint32_t)((uint64_t)args->inheritable >> (32 * half));
	}
	if (syscall(SYS_capset, &header, data) < 0)
		return fail(report, CALL_CAPSET, -errno);
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return fail(report, CALL_PRCTL, -errno);
	for (int cap = 0; cap < 64; cap++)
		if ((uint64_t)args->ambient >> cap & 1 &&
		    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0) < 0)
			return fail(report, CALL_PRCTL, -errno);
	return 0;
}

int op_open_exec_label(struct init_ctx *ctx, const struct open_exec_label_args *args,
		       struct step_report *report)
{
	AUTO_CLOSE int self = -1;

	/* "thread-self" is the one link on the way, made by the procfs that open_proc has checked. */
	self = sys_openat(ctx->proc_fd, "thread-self", O_PATH | O_DIRECTORY, 0);
	if (self < 0)
		return fail(report, CALL_OPENAT2, self);
	ctx->label_fd = sys_openat2(self, args->attribute, O_WRONLY,
				    RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV);
	if (ctx->label_fd < 0)
		return fail(report, CALL_OPENAT2, ctx->label_fd);
	/* A label written to any other file would silently leave the program unconfined. */
	if (filesystem_magic(ctx->label_fd) != PROC_SUPER_MAGIC)
		return fail(report, CALL_FSTATFS, -EINVAL);
	return 0;
}

int op_write_exec_label(struct init_ctx *ctx, const struct write_exec_label_args *args,
			struct step_report *report)
{
	size_t length = strlen(args->label);
	ssize_t written = write(ctx->label_fd, args->label, length);

	if (written < 0)
		return fail(report, CALL_WRITE, -errno);
	return (size_t)written == length ? 0 : fail(report, CALL_WRITE, -EIO);
}

int op_load_seccomp(struct init_ctx *ctx, const struct load_seccomp_args *args,
		    struct step_report *report)
{
	struct sock_fprog program = {
		.len = (unsigned short)(args->filter.length / sizeof(struct sock_filter)),
		/* The kernel copies from any address; alignment is not asked for. */
		.filter = (struct sock_filter *)(uintptr_t)args->filter.data,
	};
	struct message message = { .kind = MESSAGE_LISTENER, .step = ctx->step };
	long rc;

	if (args->filter.length / sizeof(struct sock_filter) > BPF_MAXINSNS)
		return fail(report, CALL_SECCOMP, -EINVAL);
	rc = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, (unsigned int)args->seccomp_flags,
		     &program);
	if (rc < 0)
		return fail(report, CALL_SECCOMP, -errno);
	ctx->confined = 1;
	if (args->listener) {
		AUTO_CLOSE int listener = (int)rc;

		rc = send_message(ctx->sync_fd, &message, listener);
		if (rc < 0)
			return fail(report, CALL_SENDMSG, (int)rc);
	}
	return 0;
}
