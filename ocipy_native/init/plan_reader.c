#include "plan_reader.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

static const uint8_t *take(struct cursor *cursor, size_t length)
{
	const uint8_t *start = cursor->next;

	if (cursor->failed || length > (size_t)(cursor->end - cursor->next)) {
		cursor->failed = 1;
		return NULL;
	}
	cursor->next += length;
	return start;
}

static uint32_t take_u32(struct cursor *cursor)
{
	const uint8_t *bytes = take(cursor, sizeof(uint32_t));
	uint32_t value = 0;

	if (bytes)
		memcpy(&value, bytes, sizeof(value));
	return value;
}

int64_t cursor_int(struct cursor *cursor)
{
	const uint8_t *bytes = take(cursor, sizeof(int64_t));
	int64_t value = 0;

	if (bytes)
		memcpy(&value, bytes, sizeof(value));
	return value;
}

int cursor_fd(struct cursor *cursor)
{
	int64_t value = cursor_int(cursor);

	if (value < -1 || value > INT_MAX) {
		cursor->failed = 1;
		return -1;
	}
	return (int)value;
}

const char *cursor_string(struct cursor *cursor)
{
	uint32_t length = take_u32(cursor);
	const uint8_t *bytes;

	/* In 64 bits: a length of UINT32_MAX plus its NUL must not wrap (CVE-2021-43784). */
	bytes = take(cursor, (size_t)length + 1);
	if (!bytes || bytes[length] != '\0' || memchr(bytes, '\0', length)) {
		cursor->failed = 1;
		return "";
	}
	return (const char *)bytes;
}

struct byte_span cursor_bytes(struct cursor *cursor)
{
	struct byte_span span = { NULL, take_u32(cursor) };

	span.data = take(cursor, span.length);
	if (!span.data)
		span.length = 0;
	return span;
}

const char *const *cursor_strings(struct cursor *cursor)
{
	static const char *const none[] = { NULL };
	uint32_t count = take_u32(cursor);
	const char **list = cursor->strings;

	if (cursor->failed || (size_t)count + 1 > cursor->strings_left) {
		cursor->failed = 1;
		return none;
	}
	for (uint32_t i = 0; i < count; i++)
		list[i] = cursor_string(cursor);
	list[count] = NULL;
	cursor->strings += (size_t)count + 1;
	cursor->strings_left -= (size_t)count + 1;
	return cursor->failed ? none : list;
}

int cursor_end(struct cursor *cursor)
{
	return cursor->failed || cursor->next != cursor->end ? -EBADMSG : 0;
}

int plan_check_header(const uint8_t *plan, size_t size, struct plan_header *header)
{
	if (size < sizeof(*header) || size > PLAN_SIZE_MAX)
		return -EBADMSG;
	memcpy(header, plan, sizeof(*header));
	if (header->magic != PLAN_MAGIC || header->version != PLAN_VERSION || header->size != size ||
	    header->strings_max > PLAN_STRINGS_MAX)
		return -EBADMSG;
	return 0;
}

int plan_next_step(struct cursor *plan, struct step_header *step, struct cursor *args)
{
	const uint8_t *bytes = take(plan, sizeof(*step));

	if (!bytes)
		return -EBADMSG;
	memcpy(step, bytes, sizeof(*step));
	args->next = take(plan, step->length);
	if (!args->next)
		return -EBADMSG;
	args->end = args->next + step->length;
	args->failed = 0;
	return 0;
}
