#!/bin/bash
# What a container is, shown with $OCIPY (any runtime with runc's command line):
#
#     demo.sh         a tour; on a terminal it ends in a shell inside a container
#     demo.sh shell   straight to that shell
#
# Everything it makes lies in one temporary directory, and is taken away again at the end.
set -euo pipefail

runtime="${OCIPY:-ocipy}"
busybox="${BUSYBOX:-/bin/busybox}"
python="${PYTHON:-python3}"
tour="demo-tour-$$" second="demo-second-$$" shell="demo-shell-$$"

if [ "$(id -u)" != 0 ]; then
	echo "demo.sh: run it as root" >&2
	exit 1
fi

work="$(mktemp -d /tmp/ocipy-demo.XXXXXX)"
take_away() {
	for id in "$tour" "$second" "$shell"; do
		"$runtime" delete --force "$id" >/dev/null 2>&1 || true
	done
	rm -rf --one-file-system "$work" # should a mount be left, it may lead anywhere
}
trap take_away EXIT

if [ -t 1 ]; then bold=$'\e[1m' dim=$'\e[2m' plain=$'\e[0m'; else bold='' dim='' plain=''; fi
heading() { printf '\n%s== %s%s\n' "$bold" "$*" "$plain"; }
indent() { awk '{ print "    " $0 }'; }

show() { # run a command of the runtime, and show it as one would type it
	printf '%s$ %s %s%s\n' "$dim" "${runtime##*/}" "$*" "$plain"
	"$runtime" "$@" | indent
}

make_bundle() { # make_bundle DIR TERMINAL ARGS...: config.json and rootfs/
	local bundle="$1" terminal="$2"
	shift 2
	mkdir -p "$bundle"/rootfs/{bin,dev,etc,proc,root,sys,tmp}
	cp "$busybox" "$bundle/rootfs/bin/busybox"
	chroot "$bundle/rootfs" /bin/busybox --install -s /bin
	echo 'root:x:0:0:root:/root:/bin/sh' >"$bundle/rootfs/etc/passwd"
	echo 'root:x:0:' >"$bundle/rootfs/etc/group"
	"$runtime" spec --bundle "$bundle"
	"$python" - "$bundle/config.json" "$terminal" "$@" <<-'EDIT'
		import json, sys
		path, terminal, *args = sys.argv[1:]
		config = json.load(open(path))
		config["process"].update(terminal=terminal == "terminal", args=args)
		json.dump(config, open(path, "w"), indent=4)
	EDIT
}

status_of() { "$runtime" state "$1" | "$python" -c "import json, sys; print(json.load(sys.stdin)['$2'])"; }

await_status() { # the kernel ends a killed process in its own time
	for _ in $(seq 100); do
		[ "$(status_of "$1" status)" = "$2" ] && return
		sleep 0.05
	done
	echo "$1 did not become $2" >&2
	return 1
}

inside() { # have the tour's /bin/sh run a line, and show what it prints
	local line
	printf '%s# %s%s\n' "$dim" "$1" "$plain"
	printf '%s\necho --end--\n' "$1" >&"$to_box"
	while IFS= read -r line <&"$from_box"; do
		[ "$line" = --end-- ] && return
		printf '    %s\n' "$line"
	done
	echo "the container ended" >&2
	return 1
}

namespaces() { # the container's and ours, by the numbers the kernel gives them
	local name ours theirs
	printf '    %-8s %-14s %-14s\n' namespace container host
	for name in cgroup ipc mnt net pid time user uts; do
		[ -e "/proc/self/ns/$name" ] || continue
		ours="$(readlink "/proc/self/ns/$name" | tr -dc 0-9)"
		theirs="$(readlink "/proc/$1/ns/$name" | tr -dc 0-9)"
		printf '    %-8s %-14s %-14s %s\n' "$name" "$theirs" "$ours" \
			"$([ "$ours" = "$theirs" ] && echo 'the same' || echo 'its own')"
	done
}

tour() {
	local pid box_pid to_box from_box
	make_bundle "$work/tour" pipes /bin/sh
	heading "A bundle: a root file system, and config.json from '${runtime##*/} spec'"
	(cd "$work/tour" && du -sh rootfs config.json) | indent

	heading "Its process, inside: /bin/sh is process 1, and sees nothing of the host"
	printf '%s$ %s run --bundle %s %s%s\n' "$dim" "${runtime##*/}" "$work/tour" "$tour" "$plain"
	coproc box { exec "$runtime" run --bundle "$work/tour" "$tour" 2>&1; }
	# Copies, because bash closes its own as soon as the container ends.
	box_pid="$box_PID"
	exec {from_box}<&"${box[0]}" {to_box}>&"${box[1]}"
	inside 'ps -o pid,ppid,user,args'
	inside 'hostname'
	inside 'ls /'
	inside "awk '\$5 == \"/\"' /proc/self/mountinfo"

	pid="$(status_of "$tour" pid)"
	heading "The same process, from outside: process $pid of the host"
	printf '    %s, a child of %s\n' "$(xargs -0 echo <"/proc/$pid/cmdline")" \
		"$(awk '/^PPid:/ { print $2 }' "/proc/$pid/status")"
	heading "Each namespace, beside the host's"
	namespaces "$pid"
	heading "Its cgroup"
	cut -d: -f2,3 "/proc/$pid/cgroup" | indent
	heading "Its root, as the host sees it"
	awk '$5 == "/" { print $4 " of device " $3 ", mounted " $6 }' "/proc/$pid/mountinfo" | indent
	ls "/proc/$pid/root/" | tr '\n' ' ' | indent
	eval "exec ${box[1]}>&-" {to_box}'>&-' # end of input: the shell exits, the container is gone
	wait "$box_pid"

	heading "A second container, step by step"
	make_bundle "$work/second" pipes sleep 1000
	"$runtime" create --bundle "$work/second" "$second" </dev/null >/dev/null 2>"$work/errors" \
		|| { cat "$work/errors" >&2; return 1; }
	printf '%s$ %s create --bundle %s %s%s\n' "$dim" "${runtime##*/}" "$work/second" "$second" "$plain"
	show state "$second"
	show start "$second"
	show state "$second"
	show kill "$second" KILL
	await_status "$second" stopped
	show state "$second"
	show delete "$second"
	if "$runtime" state "$second" >/dev/null 2>&1; then
		echo "$second is still there" >&2
		return 1
	fi
	echo "    it is gone"
}

interactive() {
	heading "A shell in a container (exit ends it)"
	make_bundle "$work/shell" terminal /bin/sh
	"$runtime" run --bundle "$work/shell" "$shell" || true # the shell's last status is not ours
}

case "${1:-tour}" in
tour)
	tour
	if [ -t 0 ] && [ -t 1 ]; then interactive; fi
	;;
shell) interactive ;;
*)
	echo "usage: demo.sh [shell]" >&2
	exit 2
	;;
esac
