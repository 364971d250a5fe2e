#ifndef OCIPY_SHIM_SECCOMP_H
#define OCIPY_SHIM_SECCOMP_H

#include <stddef.h>
#include <stdint.h>

/* One condition on an argument: `compare` is enum scmp_compare. */
struct ocipy_seccomp_condition {
	uint32_t argument;
	uint32_t compare;
	uint64_t value;
	uint64_t value_two;
};

/* One rule: its conditions are conditions[first] to conditions[first + count - 1]; all must hold. */
struct ocipy_seccomp_rule {
	uint32_t action;
	int32_t syscall;
	uint32_t first;
	uint32_t count;
};

uint32_t ocipy_seccomp_version(void);
uint32_t ocipy_seccomp_native_arch(void);
int ocipy_seccomp_syscall_number(uint32_t arch, const char *name);
int ocipy_seccomp_syscall_name(uint32_t arch, int number, char *name, size_t size);
int ocipy_seccomp_probe_flags(uint32_t flags);
int ocipy_seccomp_export(int fd, uint32_t default_action, uint32_t optimize, const uint32_t *archs,
			 uint32_t arch_count, const struct ocipy_seccomp_rule *rules,
			 uint32_t rule_count, const struct ocipy_seccomp_condition *conditions,
			 uint32_t *position);

#endif
