#!/bin/bash
# podman_as_user.sh SCRIPT RUNTIME [REGEX]: the checks of SCRIPT, a podman.sh for root, as a user who has
# no systemd, on this host. To be started as root; NO_UNIFIED=1 hides cgroup v2 of a hybrid host, for crun.
# (tests/vm/podman_as_user.sh is for a machine with systemd.)
#
# The user has a name and ids only in the namespaces of this script, whose end is theirs.
set -eu
if [ -z "${INSIDE-}" ]; then
  INSIDE=1 exec unshare -m -p -n -i -u --fork --kill-child --mount-proc --propagation private bash "$0" "$@"
fi
script=$(readlink -f -- "$1") runtime=$(readlink -f -- "$2")
shift 2
user=12345
top=$(mktemp -d /tmp/oc-user.XXXXXX)
trap 'rm -rf --one-file-system "$top"' EXIT
chmod 755 "$top"
cd "$top"
mkdir home run work t
printf 'root:x:0:0::/root:/bin/sh\nmaps:x:%d:%d::%s:/bin/sh\n' $user $user "$top/home" > passwd
printf 'root:x:0:\nmaps:x:%d:\n' $user > group
printf 'maps:300000:65536\n' | tee subuid > subgid
for table in passwd group subuid subgid; do mount --bind $table /etc/$table; done
mount --make-rshared /
[ -z "${NO_UNIFIED-}" ] || mount -t tmpfs -o size=1m,mode=755 none /sys/fs/cgroup/unified
mount -t tmpfs -o mode=755 tmpfs /run
mkdir /run/lock
ip link set lo up
cat "${script%/*}/lib.sh" - > work/lib.sh <<E2
# Instead of the functions of the same name above: root has prepared all of it.
enter() {
  export RUNTIME=\$1 T=$top/t CG=clients
  setup "\$@"
}
mount() { :; }
ip() { case "\$*" in 'link set lo up') ;; *) command ip "\$@";; esac; }
chown() { :; }
can_bridge() { false; }
only_processes() { same "\$(pgrep -u "\$(id -u)" -lx 'conmon|crun|runc|ocipy' | cat)" ''; }
E2
sed -i -e 's|^  mkdir -p /run/lock$||' -e 's|time.time() + 20,|time.time() + 200,|' work/lib.sh
# Without a cgroup that the user may write to, there is no parent for others.
sed -e 's|DRIVER=overlay|DRIVER=vfs|' \
    -e 's|^unset XDG_RUNTIME_DIR |unset |' \
    -e 's|/run/runc /run/crun /run/ocipy|"$XDG_RUNTIME_DIR"/{runc,crun,ocipy}|' \
    -e 's|--cgroup-parent "/$CG/$NAME"||' -e 's|--cgroup-parent "/$CG"||' \
    -e 's|"--cgroup-parent=/$CG"||' -e 's|--cgroup-parent=/$CG||' \
    "$script" > work/podman.sh
chown -R $user:$user home run work t
chmod 711 t
chmod 700 run
cd work
setpriv --reuid $user --regid $user --clear-groups env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin \
  HOME="$top/home" XDG_RUNTIME_DIR="$top/run" LIMIT="${LIMIT:-150}" bash ./podman.sh "$runtime" "$@" || exit
