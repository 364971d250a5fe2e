/*
 * What the host side needs of the kernel and Python's standard library lacks, or has only in modules
 * that cost milliseconds to import. Each function makes the calls it is named for and returns a
 * result >= 0 or -errno; nothing is decided here.
 */
#ifndef OCIPY_SHIM_H
#define OCIPY_SHIM_H

#include <stddef.h>
#include <stdint.h>

/*
 * clone3(2) with @clone_flags (CLONE_NEW*), into the cgroup @cgroup_fd (or -1); the child execs the
 * static program in @init_fd with the numbers of @plan_fd and @sync_fd as arguments and an empty
 * environment. The child inherits those two, and the @inherit_count descriptors in @inherit; its
 * standard streams are the three in @stdio: each is its own number, or above 2. Returns the child's
 * pid and stores a pidfd.
 */
int ocipy_spawn_init(int init_fd, int plan_fd, int sync_fd, uint64_t clone_flags, int cgroup_fd,
		     const int *inherit, size_t inherit_count, const int *stdio, int *pidfd);

/* socketpair(2): SOCK_SEQPACKET, close-on-exec. */
int ocipy_socketpair(int fds[2]);
/* Connect a SOCK_STREAM socket to the Unix socket at @path, which may be longer than sun_path. */
int ocipy_connect_unix(const char *path);
/* sendmsg(2) of @length bytes with @fd_count descriptors attached, never SIGPIPE. */
int ocipy_send(int socket_fd, const void *data, size_t length, const int *fds, size_t fd_count);
/*
 * recvmsg(2) of one message with at most one descriptor, which is stored in @fd (else -1), within
 * @timeout_ms (-1: for ever). Returns its length, 0 at end of file, -ETIMEDOUT.
 */
int ocipy_receive(int socket_fd, void *data, size_t length, int *fd, int timeout_ms);

/*
 * Start the program @path in a process group of its own, with @input_fd as standard input and
 * @output_fd as standard output and error, in the directory @cwd. All other descriptors are closed.
 * Returns its pid and stores a pidfd; 127 is its exit status where the exec failed.
 */
int ocipy_spawn_program(const char *path, char **argv, char **env, const char *cwd, int input_fd,
			int output_fd, int *pidfd);

int ocipy_open_tree(const char *path, unsigned int flags);
/* openat2(2) with RESOLVE_IN_ROOT: @path can only lead to what is below @root_fd. */
int ocipy_open_in_root(int root_fd, const char *path, uint64_t flags);
int ocipy_prlimit(int pid, int resource, uint64_t soft, uint64_t hard);
int ocipy_prctl(int option, unsigned long argument);
/* setns(2) of the calling thread, for network devices and hooks of other network namespaces. */
int ocipy_setns(int fd, int clone_flag);

#endif
