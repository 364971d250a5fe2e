/*
 * A bounds-checked cursor over the bytes of a plan (docs/plan-format.md).
 *
 * init trusts nothing it reads: every length is checked against what is left, every string must end
 * in a NUL that is inside and have none before it, and the whole plan is decoded once before its
 * first step runs. A cursor that failed stays failed and returns harmless values, so that decoders
 * need no checks of their own; cursor_end() gives the verdict.
 */
#ifndef OCIPY_PLAN_READER_H
#define OCIPY_PLAN_READER_H

#include <stddef.h>
#include <stdint.h>

#define PLAN_MAGIC 0x314e4c504943304fULL /* "O0CIPLN1", little endian */
#define PLAN_VERSION 1
#define PLAN_SIZE_MAX (16u << 20)
#define PLAN_STRINGS_MAX (1u << 20)
#define PLAN_FLAG_TRACE 1u
#define PLAN_FLAG_DUMPABLE 2u /* stay dumpable up to become_root (rootless) */

struct plan_header {
	uint64_t magic;
	uint32_t version;
	uint32_t flags;
	uint32_t step_count;
	uint32_t strings_max; /* slots that the largest step's string lists need, with their NULLs */
	uint64_t size;	      /* of the whole plan, this header included */
};

struct step_header {
	uint32_t code;
	uint32_t index;	 /* in the whole plan, host steps counted: what reports name */
	uint32_t length; /* of the arguments */
	uint32_t reserved;
};

struct byte_span {
	const uint8_t *data;
	uint32_t length;
};

struct cursor {
	const uint8_t *next, *end;
	const char **strings; /* free slots for string lists */
	size_t strings_left;
	int failed;
};

int64_t cursor_int(struct cursor *cursor);
const char *cursor_string(struct cursor *cursor);
int cursor_fd(struct cursor *cursor);
const char *const *cursor_strings(struct cursor *cursor);
struct byte_span cursor_bytes(struct cursor *cursor);
/* 0 if nothing failed and nothing is left over, else -EBADMSG. */
int cursor_end(struct cursor *cursor);

/* Check the header of @size bytes at @plan: 0, or -EBADMSG. */
int plan_check_header(const uint8_t *plan, size_t size, struct plan_header *header);
/* Read the next step's header and point @args at its arguments: 0, or -EBADMSG. */
int plan_next_step(struct cursor *plan, struct step_header *step, struct cursor *args);

#endif
