/*
 * ocipy-init with damaged plans and with odd arguments. Whatever the bytes, it must end by itself, read
 * nothing outside of them, and run no step of a plan that it refuses.
 *
 * The whole of main.c and of the reader runs here. What main.c asks of the kernel is answered below:
 * the plan is the input, copied into an allocation that ends where it ends; the operations are those of
 * stub_operations.c (tests/fuzz/build.py), which only look at every byte of what they are given.
 *
 * An input that begins as a plan does is one. Any other is a command line, its words ended by NUL.
 */
#include "init.h"

#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>

#include "fuzz.h"

static struct {
	const uint8_t *data;
	size_t size;
	void *mapped[2];
	int mapped_count;
	int refused;
	jmp_buf ended;
} input;

static int fuzz_fstat(int fd, struct stat *st)
{
	(void)fd;
	memset(st, 0, sizeof(*st));
	st->st_size = (off_t)input.size;
	return 0;
}

static void *fuzz_mmap(void *address, size_t length, int protection, int flags, int fd, off_t offset)
{
	void *memory = calloc(1, length);

	(void)address, (void)protection, (void)flags, (void)offset;
	if (!memory || input.mapped_count == 2)
		abort();
	if (fd >= 0)
		memcpy(memory, input.data, length);
	return input.mapped[input.mapped_count++] = memory;
}

static long fuzz_syscall(long number, ...)
{
	if (number == SYS_exit_group)
		longjmp(input.ended, 1);
	return 0;
}

static int fuzz_close(int fd)
{
	return fd < 3 ? abort(), 0 : 0;
}

static int fuzz_fcntl(int fd)
{
	return fd < 3 ? abort(), 0 : 0;
}

static ssize_t fuzz_write(int fd, const void *data, size_t size)
{
	(void)fd, (void)data;
	return (ssize_t)size;
}

int send_message(int socket_fd, const struct message *message, int fd)
{
	(void)socket_fd, (void)fd;
	if (message->kind == MESSAGE_FAILED && message->step == UINT32_MAX)
		input.refused = 1;
	look_at(message, sizeof(*message));
	return 0;
}

#define fstat fuzz_fstat
#define mmap fuzz_mmap
#define syscall fuzz_syscall
#define close fuzz_close
#define fcntl(fd, ...) fuzz_fcntl(fd)
#define write fuzz_write
#define prctl(...) (void)0
#define umask(mask) (void)0
#define sigprocmask(...) (void)0
#define main init_main
#include "main.c"
#undef main

static void run_init(int argc, char **argv)
{
	input.mapped_count = input.refused = steps_run = 0;
	if (setjmp(input.ended) == 0)
		init_main(argc, argv);
	if (input.refused && steps_run)
		abort(); /* a step of a plan that was not taken */
	while (input.mapped_count > 0)
		free(input.mapped[--input.mapped_count]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint64_t magic = PLAN_MAGIC;
	char name[] = "ocipy-init", plan_fd[] = "3", sync_fd[] = "4", *argv[WORDS_MAX + 1] = { name };
	char *words;

	input.data = data;
	input.size = size;
	if (size >= sizeof(magic) && memcmp(data, &magic, sizeof(magic)) == 0) {
		argv[1] = plan_fd;
		argv[2] = sync_fd;
		run_init(3, argv);
	} else {
		words = copy_of(data, size);
		run_init(1 + split_words(words, size, argv + 1, WORDS_MAX - 1), argv);
		free(words);
	}
	return 0;
}

#ifdef LIBFUZZER
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t size_max);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t size_max, unsigned int seed);

/* Most of the time the header says the true size, so that more than the header is read. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t size_max, unsigned int seed)
{
	struct plan_header header;
	uint64_t true_size;

	size = LLVMFuzzerMutate(data, size, size_max);
	true_size = size;
	if (size >= sizeof(header) && seed % 8)
		memcpy(data + offsetof(struct plan_header, size), &true_size, sizeof(true_size));
	return size;
}
#endif
