#ifndef OCIPY_SHIM_BPF_H
#define OCIPY_SHIM_BPF_H

#include <stddef.h>

/*
 * Put the device filter of @count instructions in force for the cgroup v2 directory @cgroup_fd, in
 * place of the one that was put there before, without a moment between the two. Filters that others
 * have attached stay: the kernel asks all of them. Returns 0 or -errno; what the verifier says of a
 * program that it refuses is written to @log.
 */
int ocipy_replace_device_filter(int cgroup_fd, const void *instructions, size_t count, char *log,
				size_t log_size);
/* The number of our filters on that cgroup itself, not on its parents; or -errno. */
int ocipy_count_device_filters(int cgroup_fd);

#endif
