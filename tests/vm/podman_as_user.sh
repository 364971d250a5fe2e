#!/bin/bash
# podman_as_user.sh SCRIPT RUNTIME [REGEX]: the checks of SCRIPT, a podman.sh for root, as an ordinary
# user of a machine with systemd: in the VM (vm-cgroup2.sh -s), which it is to be started in as root.
#
# What is another matter for a user is changed on the way: no namespaces around it all, systemd's
# cgroup driver, and a slice of the user's own as the parent of all cgroups. The VM's root is an overlay,
# on which there is no other: so vfs stores the images.
set -eu
script=$(readlink -f -- "$1") runtime=$(readlink -f -- "$2")
shift 2
user=tester
useradd --create-home "$user"    # gives it an entry in /etc/subuid and /etc/subgid, too
uid=$(id -u "$user")
loginctl enable-linger "$user"
for _ in {1..600}; do [ -S "/run/user/$uid/bus" ] && break; sleep 0.1; done

mount --make-rshared /
work=/home/$user/work
mkdir "$work"
cat "${script%/*}/lib.sh" - > "$work/lib.sh" <<'E2'
# Instead of the functions of the same name above: as a user, and outside of any namespace.
enter() {
  RUNTIME=$1 T=/var/tmp/t CG=clients.slice
  mkdir -p "$T" && chmod 711 "$T"
  export RUNTIME T CG
  setup "$@"
}
mount() { :; }
ip() { case "$*" in 'link set lo up') ;; *) command ip "$@";; esac; }
chown() { :; }    # of the image, where nothing depends on it
can_bridge() { false; }
# conmon has a scope with the ID in its name, too, and whichever is found first is a matter of chance.
cgfile() {
  local - dir; set +x
  dir=$(find /sys/fs/cgroup -type d -path "*$1*" -not -path '*/libpod-conmon-*' | head -1)
  [ -n "$dir" ] || { echo "no cgroup of $1" >&2; return 1; }
  cat "$dir/$4"
}
only_processes() { same "$(pgrep -u "$(id -u)" -lx 'conmon|crun|runc|ocipy' | cat)" ''; }
E2
# /run belongs to root; the state is below XDG_RUNTIME_DIR.
sed -i -e 's|^  mkdir -p /run/lock$||' -e 's|time.time() + 20,|time.time() + 200,|' "$work/lib.sh"
sed -e 's|--cgroup-manager cgroupfs|--cgroup-manager systemd|' \
    -e 's|DRIVER=overlay|DRIVER=vfs|' \
    -e 's|^unset XDG_RUNTIME_DIR |unset |' \
    -e 's|/run/runc /run/crun /run/ocipy|"$XDG_RUNTIME_DIR"/{runc,crun,ocipy}|' \
    -e 's|--cgroup-parent "/$CG/$NAME"|--cgroup-parent "$CG"|' \
    -e 's|--cgroup-parent "/$CG"|--cgroup-parent "$CG"|' \
    -e 's|--cgroup-parent=/$CG|--cgroup-parent=$CG|g' \
    "$script" > "$work/podman.sh"
chown -R "$user:" "$work"
words=
for word in "$runtime" "$@"; do words+=" $(printf %q "$word")"; done
exec su - "$user" -c "export XDG_RUNTIME_DIR=/run/user/$uid LIMIT=${LIMIT:-150} \
  DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/$uid/bus PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin; \
  cd work && exec bash ./podman.sh$words"
