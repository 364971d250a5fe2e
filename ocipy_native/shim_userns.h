/* User namespaces for id-mapped mounts. */
#ifndef OCIPY_SHIM_USERNS_H
#define OCIPY_SHIM_USERNS_H

/*
 * A child in a new user namespace, which does nothing until it is killed, and is killed when we end.
 * Returns its pid and stores a pidfd, or returns -errno.
 */
int ocipy_clone_userns(int *pidfd);
/* mount_setattr(2) with MOUNT_ATTR_IDMAP on the detached mount @tree; @recursive: and on all in it. */
int ocipy_idmap_tree(int tree, int userns_fd, int recursive);

#endif
