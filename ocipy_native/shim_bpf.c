/*
 * The device filter of a cgroup v2: bpf(2) for programs of type BPF_PROG_TYPE_CGROUP_DEVICE.
 *
 * Ours are told from others' by their name. systemd, for one, attaches its own to a unit's cgroup;
 * taking that away would open what it keeps closed.
 */
#include "shim_bpf.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/bpf.h>

#define FILTER_NAME "ocipy_devices" /* shorter than BPF_OBJ_NAME_LEN, 16 */
/* BPF_CGROUP_MAX_PROGS in the kernel: no cgroup has more of one type. */
#define PROGRAMS_MAX 64
/* The verifier can be interrupted by a signal and then wants to be asked again. */
#define LOAD_TRIES 30

static int sys_bpf(int command, union bpf_attr *attr)
{
	/*
	 * The whole attr: since Linux 6.17 BPF_PROG_QUERY writes its last field whatever size it is
	 * told, so nothing smaller may be passed.
	 */
	long rc = syscall(SYS_bpf, command, attr, sizeof(*attr));

	return rc < 0 ? -errno : (int)rc;
}

static int load_program(const void *instructions, size_t count, char *log, size_t log_size)
{
	union bpf_attr attr;
	int tries, fd;

	for (tries = 0; tries < LOAD_TRIES; tries++) {
		memset(&attr, 0, sizeof(attr));
		attr.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
		attr.insns = (uintptr_t)instructions;
		attr.insn_cnt = (uint32_t)count;
		attr.license = (uintptr_t) "Apache-2.0";
		memcpy(attr.prog_name, FILTER_NAME, sizeof(FILTER_NAME));
		fd = sys_bpf(BPF_PROG_LOAD, &attr);
		if (fd != -EAGAIN)
			break;
	}
	if (fd >= 0 || log_size == 0 || fd == -EPERM || fd == -EAGAIN)
		return fd;
	/* Once more, only for what the verifier has to say. */
	attr.log_buf = (uintptr_t)log;
	attr.log_size = (uint32_t)log_size;
	attr.log_level = 1;
	return sys_bpf(BPF_PROG_LOAD, &attr);
}

static int load_with_memory(const void *instructions, size_t count, char *log, size_t log_size)
{
	struct rlimit old, unlimited = { RLIM_INFINITY, RLIM_INFINITY };
	int fd = load_program(instructions, count, log, log_size);

	/* Before Linux 5.11 programs count as locked memory, of which there may be 64 KiB. */
	if (fd != -EPERM || getrlimit(RLIMIT_MEMLOCK, &old) < 0)
		return fd;
	if (setrlimit(RLIMIT_MEMLOCK, &unlimited) < 0)
		return fd;
	fd = load_program(instructions, count, log, log_size);
	setrlimit(RLIMIT_MEMLOCK, &old);
	return fd;
}

/* Store descriptors of our programs on the cgroup in @found; return how many, or -errno. */
static int find_programs(int cgroup_fd, int found[PROGRAMS_MAX])
{
	uint32_t ids[PROGRAMS_MAX];
	union bpf_attr attr;
	uint32_t i, count;
	int ours = 0, rc;

	memset(&attr, 0, sizeof(attr));
	attr.query.target_fd = (uint32_t)cgroup_fd;
	attr.query.attach_type = BPF_CGROUP_DEVICE;
	attr.query.prog_ids = (uintptr_t)ids;
	attr.query.prog_cnt = PROGRAMS_MAX;
	rc = sys_bpf(BPF_PROG_QUERY, &attr);
	if (rc < 0)
		return rc;
	count = attr.query.prog_cnt;
	for (i = 0; i < count && i < PROGRAMS_MAX; i++) {
		struct bpf_prog_info info;
		int fd;

		memset(&attr, 0, sizeof(attr));
		attr.prog_id = ids[i];
		fd = sys_bpf(BPF_PROG_GET_FD_BY_ID, &attr);
		/* Gone meanwhile; or a security module keeps it from us, so it is not ours. */
		if (fd < 0)
			continue;
		memset(&info, 0, sizeof(info));
		memset(&attr, 0, sizeof(attr));
		attr.info.bpf_fd = (uint32_t)fd;
		attr.info.info_len = sizeof(info);
		attr.info.info = (uintptr_t)&info;
		if (sys_bpf(BPF_OBJ_GET_INFO_BY_FD, &attr) == 0 &&
		    strncmp(info.name, FILTER_NAME, sizeof(info.name)) == 0)
			found[ours++] = fd;
		else
			close(fd);
	}
	return ours;
}

static int attach(int cgroup_fd, int program_fd, int replaced_fd)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.target_fd = (uint32_t)cgroup_fd;
	attr.attach_bpf_fd = (uint32_t)program_fd;
	attr.attach_type = BPF_CGROUP_DEVICE;
	attr.attach_flags = BPF_F_ALLOW_MULTI;
	if (replaced_fd >= 0) {
		attr.attach_flags |= BPF_F_REPLACE;
		attr.replace_bpf_fd = (uint32_t)replaced_fd;
	}
	return sys_bpf(BPF_PROG_ATTACH, &attr);
}

static int detach(int cgroup_fd, int program_fd)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.target_fd = (uint32_t)cgroup_fd;
	attr.attach_bpf_fd = (uint32_t)program_fd;
	attr.attach_type = BPF_CGROUP_DEVICE;
	return sys_bpf(BPF_PROG_DETACH, &attr);
}

int ocipy_replace_device_filter(int cgroup_fd, const void *instructions, size_t count, char *log,
				size_t log_size)
{
	int old[PROGRAMS_MAX];
	int program_fd, old_count, i, rc;

	program_fd = load_with_memory(instructions, count, log, log_size);
	if (program_fd < 0)
		return program_fd;
	old_count = find_programs(cgroup_fd, old);
	rc = old_count;
	if (rc >= 0)
		rc = attach(cgroup_fd, program_fd, old_count > 0 ? old[0] : -1);
	/* More than one: an update was killed between attaching and detaching, on an old kernel. */
	for (i = 1; i < old_count && rc >= 0; i++)
		rc = detach(cgroup_fd, old[i]);
	for (i = 0; i < old_count; i++)
		close(old[i]);
	/* The cgroup holds on to the program from now on. */
	close(program_fd);
	return rc < 0 ? rc : 0;
}

int ocipy_count_device_filters(int cgroup_fd)
{
	int found[PROGRAMS_MAX];
	int count = find_programs(cgroup_fd, found), i;

	for (i = 0; i < count; i++)
		close(found[i]);
	return count;
}
