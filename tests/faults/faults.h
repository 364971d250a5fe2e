/*
 * Faults for tests: compiled into ocipy-init with -DOCIPY_FAULTS (tests/faults/build.py), and into no
 * other build. Which fault is in flags of the plan that a production init does not look at:
 *
 *   bits 8-11   kind     1 the step fails, 2 init dies, 3 the ocipy that listens is killed
 *   bit  12     moment   0 before the step, 1 after it
 *   bits 13-19  errno    for kind 1
 *   bits 20-31  step     its index in the plan
 *
 * The same table stands in tests/faults/points.py.
 */
#include <poll.h>
#include <sys/ioctl.h>

enum fault_moment { FAULT_BEFORE = 0, FAULT_AFTER = 1 };

/*
 * A trace message makes a test's ocipy kill itself; only then does init go on. `start` has no connection
 * that ends with it: whoever runs the test sees its end, and says so with a byte on the fifo.
 */
static void outlive_host(struct init_ctx *ctx)
{
	struct message message = { .kind = MESSAGE_TRACE, .step = ctx->step };
	struct pollfd end = { .fd = ctx->report_fd };
	int unread = 1;

	if (ctx->report_fd == ctx->sync_fd) {
		send_message(ctx->sync_fd, &message, -1);
		while (!(end.revents & POLLHUP))
			poll(&end, 1, -1);
		return;
	}
	if (write(ctx->report_fd, &message, sizeof(message)) < 0)
		return;
	while (unread && ioctl(ctx->report_fd, FIONREAD, &unread) == 0)
		poll(NULL, 0, 1);
	end.events = POLLIN;
	poll(&end, 1, -1);
	(void)!read(ctx->report_fd, &unread, 1);
}

static int fault(enum fault_moment moment, struct init_ctx *ctx)
{
	uint32_t kind = ctx->flags >> 8 & 15;

	if (!kind || ctx->flags >> 20 != ctx->step || (ctx->flags >> 12 & 1) != moment)
		return 0;
	if (kind == 1)
		return -(int)(ctx->flags >> 13 & 127);
	if (kind == 2)
		__builtin_trap(); /* the first of a pid namespace cannot even kill itself with SIGKILL */
	outlive_host(ctx);
	return 0;
}
