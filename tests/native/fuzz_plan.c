/*
 * The reader of plans, fed with damaged ones. Whatever the bytes, it must answer: 0 or -EBADMSG, and
 * read nothing outside of them; the sanitizers that this is compiled with end the program else.
 *
 *     fuzz_plan SECONDS SEED FILE...      mutates the plans in the files, prints how many it tried
 *
 * Compiled with -DCOVERAGE_GUIDED and clang's -fsanitize=fuzzer it is a libFuzzer target.
 */
#define main init_main
#include "main.c"
#undef main

#include <stdio.h>
#include <stdlib.h>

/* Decode a plan as load_plan() and verify_plan() do; the copy ends where the allocation does. */
static int read_plan(const uint8_t *data, size_t size)
{
	struct plan plan;
	uint8_t *copy = malloc(size ? size : 1);
	int rc;

	memcpy(copy, data, size);
	plan.bytes = copy;
	rc = plan_check_header(copy, size, &plan.header);
	if (rc == 0) {
		plan.strings = calloc((size_t)plan.header.strings_max + 1, sizeof(char *));
		rc = verify_plan(&plan);
		free(plan.strings);
	}
	free(copy);
	return rc;
}

#ifdef COVERAGE_GUIDED
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	read_plan(data, size);
	return 0;
}
#else

struct input {
	uint8_t *data;
	size_t size;
};

static uint64_t state;

static uint64_t random_number(uint64_t below)
{
	/* xorshift64: the same seed tries the same plans. */
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state % below;
}

static void put_interesting(uint8_t *at, size_t room)
{
	static const uint32_t values[] = { 0, 1, 2, 0x7f, 0xff, 0xffff, 0x10000, 0x7fffffff, 0x80000000,
					   0xfffffffe, 0xffffffff, PLAN_STRINGS_MAX, PLAN_SIZE_MAX };
	uint32_t value = values[random_number(sizeof(values) / sizeof(values[0]))];

	memcpy(at, &value, room < sizeof(value) ? room : sizeof(value));
}

/* Damage a copy in place, keeping the header's size true most of the time, so that more is read. */
static size_t mutate(uint8_t *data, size_t size, const struct input *other)
{
	uint64_t true_size;

	for (uint64_t n = 1 + random_number(6); n > 0; n--) {
		size_t at = random_number(size);

		switch (random_number(6)) {
		case 0:
			data[at] ^= (uint8_t)(1u << random_number(8));
			break;
		case 1:
			data[at] = (uint8_t)random_number(256);
			break;
		case 2:
		case 3:
			put_interesting(data + at, size - at);
			break;
		case 4:
			size = size > 40 ? 40 + random_number(size - 40) : size;
			break;
		default:
			if (other->size > 40) {
				size_t from = random_number(other->size), length = 1 + random_number(64);

				if (length > other->size - from)
					length = other->size - from;
				if (length > size - at)
					length = size - at;
				memcpy(data + at, other->data + from, length);
			}
		}
	}
	if (random_number(8)) {
		true_size = size;
		memcpy(data + offsetof(struct plan_header, size), &true_size, sizeof(true_size));
	}
	return size;
}

static struct input read_input(const char *name)
{
	struct input input = { malloc(PLAN_SIZE_MAX), 0 };
	FILE *file = fopen(name, "rb");

	if (!file) {
		perror(name);
		exit(2);
	}
	input.size = fread(input.data, 1, PLAN_SIZE_MAX, file);
	fclose(file);
	return input;
}

int main(int argc, char **argv)
{
	struct input inputs[256];
	int count = 0;
	unsigned long tried = 0, accepted = 0;
	uint8_t *data = malloc(PLAN_SIZE_MAX);
	int64_t end;

	state = strtoull(argv[2], NULL, 10) * 2 + 1;
	for (int i = 3; i < argc && count < 256; i++) {
		inputs[count++] = read_input(argv[i]);
		if (read_plan(inputs[count - 1].data, inputs[count - 1].size) != 0) {
			fprintf(stderr, "%s: refused as it is\n", argv[i]);
			return 1;
		}
	}
	for (end = now_nsec() + atoll(argv[1]) * 1000000000; now_nsec() < end; tried++) {
		const struct input *from = &inputs[random_number((uint64_t)count)];
		size_t size;

		memcpy(data, from->data, from->size);
		size = mutate(data, from->size, &inputs[random_number((uint64_t)count)]);
		accepted += read_plan(data, size) == 0;
	}
	printf("%lu tried, %lu accepted\n", tried, accepted);
	free(data);
	for (int i = 0; i < count; i++)
		free(inputs[i].data);
	return 0;
}
#endif
