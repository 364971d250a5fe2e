#ifndef OCIPY_SHIM_OBSERVE_H
#define OCIPY_SHIM_OBSERVE_H

#include <stdint.h>

/* inotify_init1(2), close-on-exec; reading does not wait. */
int ocipy_inotify(void);
int ocipy_inotify_watch(int inotify_fd, const char *path, uint32_t mask);
/* pidfd_getfd(2): our copy of descriptor @fd of another process, close-on-exec. */
int ocipy_pidfd_getfd(int pidfd, int fd);

#endif
