/* What the operations share: the context that outlives a step, and the report of a failed one. */
#ifndef OCIPY_INIT_H
#define OCIPY_INIT_H

#include <stdint.h>
#include <sys/types.h>

#include "_generated_plan.h"
#include "sys.h"

/* Kinds of messages between init and the host; ocipy/spawn/sync.py holds the same table. */
enum message_kind {
	MESSAGE_FAILED = 1,   /* init: a step failed; the numbers say which and how */
	MESSAGE_AWAIT = 2,    /* init: the host's turn, up to MESSAGE_GO */
	MESSAGE_FORKED = 3,   /* init: `value` is the pid of the process that continues */
	MESSAGE_TERMINAL = 4, /* init: the pty's master is attached */
	MESSAGE_LISTENER = 5, /* init: the seccomp listener is attached */
	MESSAGE_TRACE = 6,    /* init: a step ended at `nsec` (CLOCK_MONOTONIC) */
	MESSAGE_GO = 7,	      /* host: go on */
};

#define DETAIL_SIZE 256

/* One message, always of this size; a SOCK_SEQPACKET socket or a fifo (PIPE_BUF) keeps it whole. */
struct message {
	uint32_t kind;
	uint32_t step; /* index in the plan */
	uint32_t call; /* enum call */
	int32_t error; /* errno, positive */
	int64_t value;
	int64_t nsec;
	char detail[DETAIL_SIZE];
};

/* Filled in by the operation that fails: which call, and words that only C knows. */
struct step_report {
	uint32_t call;
	char detail[DETAIL_SIZE];
};

struct init_ctx {
	int sync_fd;	 /* to the host; -1 once start has taken over */
	int report_fd;	 /* where failures go: sync_fd, then the fifo `report` */
	int rootfs_fd;	 /* root of the container's file system, O_PATH; -1 before it is bound */
	int proc_fd;	 /* the host's /proc, checked; -1 when not open */
	int label_fd;	 /* attr/exec of this thread, for the LSM label */
	int devnull_fd;	 /* the host's /dev/null, O_PATH, checked to be character device 1:3 */
	int empty_fd;	 /* an empty read-only tmpfs, which covers masked directories */
	uint32_t step;	 /* index of the step that runs */
	uint32_t flags;	 /* of the plan */
	int confined;	 /* a seccomp filter is loaded, which may forbid to send */
	int deferred_chdir; /* the working directory is to be entered as the user */
	const char *executable; /* found by find_executable */
	char executable_buffer[4096];
	char home[512]; /* "HOME=...", for an environment that leaves it open; "" before find_home */
};

/* Record that @call failed with @rc (-errno), and return @rc. */
int fail(struct step_report *report, enum call call, int rc);
/* The same with words for the person who reads the error; printf would pull in stdio. */
int fail_detail(struct step_report *report, enum call call, int rc, const char *detail);

/* Send one message; @fd (or -1) goes along. Returns 0 or -errno. */
int send_message(int socket_fd, const struct message *message, int fd);
/* Wait for MESSAGE_GO: 0, or -errno (-EPIPE when the host is gone). */
int await_go(int socket_fd);

#define DECIMAL_SIZE 12
/* @value in decimal digits, somewhere in @buffer. */
const char *decimal(char buffer[DECIMAL_SIZE], unsigned int value);

/* The file system magic of what @fd refers to, or -errno. */
long filesystem_magic(int fd);

/* path.c: paths below the rootfs, resolved by descriptor. Each returns an fd or -errno. */
int open_in_root(int root_fd, const char *path, uint64_t flags);
int open_or_make_directory(int root_fd, const char *path, mode_t mode);
int open_or_make_file(int root_fd, const char *path);
/* The directory that holds the last component of @path, made when missing; *name points at it. */
int open_or_make_parent(int root_fd, const char *path, const char **name);

#endif
