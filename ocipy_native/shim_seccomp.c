/*
 * libseccomp, for Python: rules in numbers go in, a BPF program comes out.
 *
 * libseccomp is linked here, in the parent, so that ocipy-init need not carry it: init is handed the
 * finished program. Nothing is decided here. Every function returns -errno where it fails, which is
 * what libseccomp itself does.
 */
#define _GNU_SOURCE
#include "shim_seccomp.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A system call has six arguments, and libseccomp takes one condition on each. */
#define MAX_CONDITIONS 6

/* The version of the library that is loaded, not of the header: 0xMMmmuu. */
uint32_t ocipy_seccomp_version(void)
{
	const struct scmp_version *version = seccomp_version();

	return version ? version->major << 16 | version->minor << 8 | version->micro : 0;
}

/* The SCMP_ARCH_* token of this machine. */
uint32_t ocipy_seccomp_native_arch(void)
{
	return seccomp_arch_native();
}

/*
 * The number of a system call on `arch`, a SCMP_ARCH_* token, where 0 is the native one. -1
 * (__NR_SCMP_ERROR) if libseccomp knows none of that name; any other negative number is one that
 * libseccomp uses for a call which other architectures have and this one lacks.
 */
int ocipy_seccomp_syscall_number(uint32_t arch, const char *name)
{
	return seccomp_syscall_resolve_name_arch(arch, name);
}

/* The name of system call @number on `arch` into @name of @size bytes; -ENOENT if libseccomp has none. */
int ocipy_seccomp_syscall_name(uint32_t arch, int number, char *name, size_t size)
{
	char *found = seccomp_syscall_resolve_num_arch(arch, number);
	size_t length = found ? strlen(found) : 0;

	if (length > 0 && length < size)
		memcpy(name, found, length + 1);
	free(found);
	return length > 0 && length < size ? (int)length : -ENOENT;
}

/*
 * Does this kernel take the SECCOMP_FILTER_FLAG_* @flags? Returns 1 or 0. It checks them before it
 * reads the program, so one at address 0 tells, and none is loaded.
 */
int ocipy_seccomp_probe_flags(uint32_t flags)
{
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, NULL) < 0 && errno == EFAULT;
}

static int add_rule(scmp_filter_ctx filter, const struct ocipy_seccomp_rule *rule,
		    const struct ocipy_seccomp_condition *conditions)
{
	struct scmp_arg_cmp compare[MAX_CONDITIONS];
	uint32_t i;

	if (rule->count > MAX_CONDITIONS)
		return -EINVAL;
	for (i = 0; i < rule->count; i++) {
		const struct ocipy_seccomp_condition *condition = &conditions[rule->first + i];

		compare[i] = (struct scmp_arg_cmp){
			.arg = condition->argument,
			.op = (enum scmp_compare)condition->compare,
			.datum_a = condition->value,
			.datum_b = condition->value_two,
		};
	}
	return seccomp_rule_add_array(filter, rule->action, rule->syscall, rule->count, compare);
}

/*
 * Write the BPF program, an array of struct sock_filter, to `fd`.
 *
 * `archs` are added to the native one. `optimize` is 2 for a binary tree over the numbers of the
 * system calls, 1 for a list. On failure *position says what libseccomp refused: 0 the default
 * action, 1 to arch_count an architecture, and then the rules; one more is writing the result.
 */
int ocipy_seccomp_export(int fd, uint32_t default_action, uint32_t optimize, const uint32_t *archs,
			 uint32_t arch_count, const struct ocipy_seccomp_rule *rules,
			 uint32_t rule_count, const struct ocipy_seccomp_condition *conditions,
			 uint32_t *position)
{
	scmp_filter_ctx filter;
	uint32_t i;
	int rc;

	*position = 0;
	filter = seccomp_init(default_action);
	if (!filter)
		return -EINVAL;

	for (i = 0; i < arch_count; i++) {
		++*position;
		rc = seccomp_arch_add(filter, archs[i]);
		/* The native one is there from the start. */
		if (rc < 0 && rc != -EEXIST)
			goto out;
	}
	/* A matter of speed only, so a refusal is none of anybody's business. */
	(void)seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, optimize);

	for (i = 0; i < rule_count; i++) {
		++*position;
		rc = add_rule(filter, &rules[i], conditions);
		if (rc < 0)
			goto out;
	}
	++*position;
	rc = seccomp_export_bpf(filter, fd);
out:
	seccomp_release(filter);
	return rc;
}
