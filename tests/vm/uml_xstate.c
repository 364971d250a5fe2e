/*
 * Preloaded into linux.uml on a processor with AMX. User-mode Linux 6.1 restores a process's
 * floating-point state with PTRACE_SETREGSET and 2696 bytes, which was the size of the largest
 * XSAVE area when it was written. Kernels since 5.16 report a larger one where there is AMX, and
 * take the whole of it or nothing (EFAULT), so that the VM's first process dies.
 *
 * So complete what is set with what is there; the part that user-mode Linux does not know stays
 * in its initial state.
 */
#define _GNU_SOURCE
#include <elf.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static long raw(long request, long pid, long addr, void *data)
{
	return syscall(SYS_ptrace, request, pid, addr, data);
}

long ptrace(enum __ptrace_request request, ...)
{
	static __thread char state[65536] __attribute__((aligned(64)));
	struct iovec whole = { state, sizeof(state) };
	const struct iovec *part;
	long pid, addr, word, rc;
	va_list args;
	void *data;

	va_start(args, request);
	pid = va_arg(args, pid_t);
	addr = va_arg(args, long);
	data = va_arg(args, void *);
	va_end(args);

	if (request == PTRACE_PEEKTEXT || request == PTRACE_PEEKDATA ||
	    request == PTRACE_PEEKUSER) {
		rc = raw(request, pid, addr, &word);
		return rc < 0 ? rc : word;
	}
	part = data;
	if (request == PTRACE_SETREGSET && addr == NT_X86_XSTATE &&
	    raw(PTRACE_GETREGSET, pid, addr, &whole) == 0 && whole.iov_len > part->iov_len) {
		memcpy(state, part->iov_base, part->iov_len);
		data = &whole;
	}
	return raw(request, pid, addr, data);
}
