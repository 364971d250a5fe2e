/*
 * ocipy-init: the program in the container until the container's own program replaces it.
 *
 * ocipy starts it from a sealed memfd (so that a container can never reach a file of the host
 * through /proc/PID/exe: CVE-2019-5736) with two descriptors: the plan, and a socket to the host.
 * It decodes the whole plan once, then runs its steps in order; the last one execs. All control flow
 * is here; each operation is a function in op_*.c that returns 0 or -errno.
 *
 * When a step fails, three numbers and a line of detail go to the host, which has the plan and words
 * the error. When the host is gone, init ends: nobody would ever start the container.
 *
 * Nothing is allocated after load_plan(). Python has no say in here, and nothing is decided here.
 */
#include "init.h"

#define OCIPY_OPERATION_TABLE
#include "_generated_plan.h"

#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>

struct plan {
	struct plan_header header;
	const uint8_t *bytes;
	const char **strings;
};

static const char usage[] = "ocipy-init: started by ocipy with a plan, of no use by itself\n";

static int64_t now_nsec(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* A descriptor number from argv: decimal digits only, at most seven; -1 for anything else. */
static int parse_fd(const char *text)
{
	int value = 0;

	for (const char *digit = text; *digit; digit++) {
		if (*digit < '0' || *digit > '9' || digit - text >= 7)
			return -1;
		value = value * 10 + (*digit - '0');
	}
	return *text ? value : -1;
}

static int load_plan(int fd, struct plan *plan)
{
	struct stat st;
	void *memory;
	size_t slots;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_size < (off_t)sizeof(plan->header) || st.st_size > (off_t)PLAN_SIZE_MAX)
		return -EBADMSG;
	/* The memfd is sealed: what was checked is what runs. */
	memory = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (memory == MAP_FAILED)
		return -errno;
	plan->bytes = memory;
	if (plan_check_header(plan->bytes, (size_t)st.st_size, &plan->header) < 0)
		return -EBADMSG;
	slots = (size_t)plan->header.strings_max + 1;
	memory = mmap(NULL, slots * sizeof(char *), PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		return -errno;
	plan->strings = memory;
	close(fd);
	return 0;
}

static const struct operation *find_operation(uint32_t code)
{
	for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++)
		if (operations[i].code == code)
			return &operations[i];
	return NULL;
}

/* Decode the next step into @args; its string lists live until the next call. */
static int next_step(const struct plan *plan, struct cursor *at, struct step_header *step,
		     const struct operation **operation, union op_args *args)
{
	struct cursor cursor = { .strings = plan->strings,
				 .strings_left = (size_t)plan->header.strings_max + 1 };

	if (plan_next_step(at, step, &cursor) < 0)
		return -EBADMSG;
	*operation = find_operation(step->code);
	return *operation ? (*operation)->decode(&cursor, args) : -EBADMSG;
}

static struct cursor first_step(const struct plan *plan)
{
	return (struct cursor){ .next = plan->bytes + sizeof(plan->header),
				.end = plan->bytes + plan->header.size };
}

/* Decode everything once, so that a bad plan is refused before its first step has an effect. */
static int verify_plan(const struct plan *plan)
{
	struct cursor at = first_step(plan);
	const struct operation *operation;
	struct step_header step;
	union op_args args;

	for (uint32_t i = 0; i < plan->header.step_count; i++)
		if (next_step(plan, &at, &step, &operation, &args) < 0)
			return -EBADMSG;
	return at.next == at.end ? 0 : -EBADMSG;
}

/*
 * A seccomp profile may forbid even exit_group(2). libc would then try for ever, and start wait for ever;
 * no filter and no pid namespace keeps a process from dying of its own illegal instruction.
 */
static _Noreturn void end(int status)
{
	syscall(SYS_exit_group, status);
	__builtin_trap();
}

static void report_message(struct init_ctx *ctx, uint32_t kind, const struct step_report *report,
			   int error)
{
	struct message message = { .kind = kind, .step = ctx->step, .error = error };

	message.nsec = now_nsec();
	if (report) {
		message.call = report->call;
		memcpy(message.detail, report->detail, sizeof(message.detail));
	}
	if (ctx->report_fd == ctx->sync_fd)
		send_message(ctx->sync_fd, &message, -1);
	else if (write(ctx->report_fd, &message, sizeof(message)) < 0)
		end(1); /* `start` is gone as well: nobody is left to tell */
}

#ifdef OCIPY_FAULTS
#include "../../tests/faults/faults.h"
#else
#define fault(moment, ctx) 0
#endif

/* Returns when a step has failed, and that was reported; a plan ends in exec. */
static void run_plan(struct init_ctx *ctx, const struct plan *plan)
{
	struct cursor at = first_step(plan);
	const struct operation *operation;
	struct step_header step;
	union op_args args;
	int rc;

	for (uint32_t i = 0; i < plan->header.step_count; i++) {
		struct step_report report = { 0 };

		rc = next_step(plan, &at, &step, &operation, &args);
		ctx->step = step.index;
		if (rc == 0)
			rc = fault(FAULT_BEFORE, ctx);
		if (rc == 0)
			rc = operation->run(ctx, &args, &report);
		if (rc == 0)
			rc = fault(FAULT_AFTER, ctx);
		if (rc < 0) {
			report_message(ctx, MESSAGE_FAILED, &report, -rc);
			return;
		}
		if (plan->header.flags & PLAN_FLAG_TRACE && !ctx->confined)
			report_message(ctx, MESSAGE_TRACE, NULL, 0);
	}
}

static void reset_signals(void)
{
	static const uint64_t default_action[4]; /* struct kernel_sigaction: SIG_DFL and all else 0 */
	sigset_t none;

	/*
	 * What is ignored stays so across execve(2): Python ignores SIGPIPE and SIGXFSZ, a shell SIGINT
	 * for what it runs in the background. The container is not to notice who started it, or how.
	 * The raw call, because libc keeps its own signals (32 and on) from everybody.
	 */
	for (int number = 1; number <= 64; number++)
		syscall(SYS_rt_sigaction, number, default_action, NULL, sizeof(uint64_t));
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

int main(int argc, char **argv)
{
	struct init_ctx ctx = { .sync_fd = -1, .report_fd = -1, .rootfs_fd = -1, .proc_fd = -1,
				.label_fd = -1, .devnull_fd = -1, .empty_fd = -1 };
	struct plan plan;
	int plan_fd, rc;

	plan_fd = argc == 3 ? parse_fd(argv[1]) : -1;
	ctx.sync_fd = argc == 3 ? parse_fd(argv[2]) : -1;
	if (plan_fd < 3 || ctx.sync_fd < 3) {
		/* A container that runs /proc/self/exe while we are it ends up here. */
		rc = (int)write(STDERR_FILENO, usage, sizeof(usage) - 1);
		return rc < 0 ? 124 : 125;
	}
	ctx.report_fd = ctx.sync_fd;
	fcntl(ctx.sync_fd, F_SETFD, FD_CLOEXEC);
	prctl(PR_SET_NAME, "ocipy:[init]");
	reset_signals();
	/* Modes are the plan's; the program gets its own umask. */
	umask(0);

	rc = load_plan(plan_fd, &plan);
	if (rc == 0) {
		ctx.flags = plan.header.flags;
		/*
		 * Not dumpable: processes of a container that we join can neither ptrace us nor look at
		 * our descriptors (CVE-2016-9962). Without root it has to wait for become_root: /proc/PID
		 * of such a process belongs to root, and ocipy could not write the id maps.
		 */
		if (!(ctx.flags & PLAN_FLAG_DUMPABLE))
			prctl(PR_SET_DUMPABLE, 0);
		rc = verify_plan(&plan);
	}
	if (rc < 0) {
		struct step_report report = { 0 };

		ctx.step = UINT32_MAX; /* none of them */
		report_message(&ctx, MESSAGE_FAILED, &report, -rc);
		return 1;
	}
	run_plan(&ctx, &plan);
	end(1);
}
