/* What the operations that mount share. */
#ifndef OCIPY_MOUNTING_H
#define OCIPY_MOUNTING_H

#include "init.h"

/* op_rootfs.c: change the propagation type of the mount at @fd; MS_REC: and of all below. */
int set_propagation(int fd, int64_t propagation);

/* op_mount.c: a descriptor of a new, detached mount, or -errno with @report filled in. */
int detached_tmpfs(const char *const *options, unsigned int attributes, struct step_report *report);

/* copy_up.c: copy all that is in @from to the empty @to. 0, or -errno with @report filled in. */
int copy_up(int from, int to, struct step_report *report);

#endif
