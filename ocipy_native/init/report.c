/* Messages to the host, and the record of what failed. */
#include "init.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/vfs.h>

int fail(struct step_report *report, enum call call, int rc)
{
	report->call = call;
	return rc;
}

int fail_detail(struct step_report *report, enum call call, int rc, const char *detail)
{
	size_t length = strnlen(detail, DETAIL_SIZE - 1);

	memcpy(report->detail, detail, length);
	report->detail[length] = '\0';
	return fail(report, call, rc);
}

const char *decimal(char buffer[DECIMAL_SIZE], unsigned int value)
{
	char *digit = buffer + DECIMAL_SIZE - 1;

	*digit = '\0';
	do {
		*--digit = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	return digit;
}

long filesystem_magic(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) < 0 ? -errno : (long)fs.f_type;
}

int send_message(int socket_fd, const struct message *message, int fd)
{
	struct iovec data = { (void *)(uintptr_t)message, sizeof(*message) };
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct msghdr msg = { .msg_iov = &data, .msg_iovlen = 1 };
	ssize_t sent;

	if (fd >= 0) {
		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control);
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.header), &fd, sizeof(int));
	}
	do {
		sent = sendmsg(socket_fd, &msg, MSG_NOSIGNAL);
	} while (sent < 0 && errno == EINTR);
	return sent < 0 ? -errno : 0;
}

int await_go(int socket_fd)
{
	struct message message;
	ssize_t got;

	do {
		got = recv(socket_fd, &message, sizeof(message), 0);
	} while (got < 0 && errno == EINTR);
	if (got < 0)
		return -errno;
	/* End of file: the ocipy that made us died. Nobody would ever start this container. */
	if (got == 0)
		return -EPIPE;
	return got == sizeof(message) && message.kind == MESSAGE_GO ? 0 : -EPROTO;
}
