"""The commands that people call, and their options; those that clients call stand in options.py."""

from __future__ import annotations

from ocipy.options import (
    BUNDLE,
    CONFIG,
    CONSOLE_SOCKET,
    DETACH,
    FLAG,
    ID,
    NO_KEYRING,
    NO_PIVOT,
    NO_SUBREAPER,
    NUMBER,
    PID_FILE,
    STRICT,
    TEXT,
    TEXTS,
    Command,
    Option,
)

_FORMAT = Option("format", TEXT, "FORMAT", "table or json", short="f", default="table")
_CHECKPOINT_BOTH = (
    Option("image-path", TEXT, "DIR", "directory of the image files"),
    Option("work-path", TEXT, "DIR", "directory of work files and logs"),
    Option("tcp-established", FLAG, "", "allow open TCP connections"),
    Option("ext-unix-sk", FLAG, "", "allow external unix sockets"),
    Option("shell-job", FLAG, "", "allow shell jobs"),
    Option("file-locks", FLAG, "", "allow file locks"),
    Option("lazy-pages", FLAG, "", "restore memory pages lazily, with userfaultfd"),
    Option("link-remap", FLAG, "", "allow remapping of unlinked files"),
    Option("manage-cgroups-mode", TEXT, "MODE", "soft, full, strict or ignore"),
    Option("empty-ns", TEXTS, "NAMESPACE", "make a namespace, but do not restore its properties"),
    Option("auto-dedup", FLAG, "", "deduplicate memory images"),
)

OTHER_COMMANDS = (
    Command("list", "list the containers of a root directory", "", 0, 0, (
        _FORMAT, Option("quiet", FLAG, "", "print ids only", short="q"))),
    Command("ps", "list the processes in a container", f"{ID} [ps options]", 1, -1, (_FORMAT,),
            options_first=True),
    Command("pause", "suspend all processes in a container", ID, 1, 1),
    Command("resume", "resume all processes in a paused container", ID, 1, 1),
    Command("update", "change the resource limits of a container", ID, 1, 1, (
        Option("resources", TEXT, "FILE", "read linux.resources from FILE ('-': standard input); "
               "the other options are then ignored", short="r"),
        Option("blkio-weight", NUMBER, "N", "relative weight of block I/O, 10 to 1000"),
        Option("cpu-period", TEXT, "USEC", "length of the period that --cpu-quota counts in"),
        Option("cpu-quota", TEXT, "USEC", "CPU time in each period"),
        Option("cpu-burst", TEXT, "USEC", "unused CPU time that may be saved up"),
        Option("cpu-share", TEXT, "N", "relative weight of CPU time"),
        Option("cpu-rt-period", TEXT, "USEC", "length of the realtime period"),
        Option("cpu-rt-runtime", TEXT, "USEC", "realtime CPU time in each realtime period"),
        Option("cpuset-cpus", TEXT, "LIST", "CPUs to run on, such as 0-2,7"),
        Option("cpuset-mems", TEXT, "LIST", "memory nodes to use"),
        Option("memory", TEXT, "BYTES", "memory limit; suffixes K, M, G are understood"),
        Option("memory-reservation", TEXT, "BYTES", "memory that reclaim leaves alone"),
        Option("memory-swap", TEXT, "BYTES", "limit of memory and swap together; -1: none"),
        Option("kernel-memory", TEXT, "BYTES", "ignored: no supported kernel has it", hidden=True),
        Option("kernel-memory-tcp", TEXT, "BYTES", "ignored, as --kernel-memory", hidden=True),
        Option("pids-limit", NUMBER, "N", "highest number of processes"),
        Option("l3-cache-schema", TEXT, "SCHEMA", "Intel RDT: L3 cache allocation"),
        Option("mem-bw-schema", TEXT, "SCHEMA", "Intel RDT: memory bandwidth"),
        Option("cpu-idle", TEXT, "0|1", "1: give CPU time only when nobody else wants it"))),
    Command("wait", "wait until a container has ended, and print its exit code", ID, 1, 1, (
        Option("format", TEXT, "FORMAT", "text or json", default="text"),
        Option("timeout", TEXT, "DURATION", "give up after this time, such as 30s"))),
    Command("events", "print resource usage and out-of-memory events",
            f"{ID} | --lifecycle [{ID}]", 0, 1, (
        Option("lifecycle", FLAG, "", "print what happens to the container instead: created, "
               "started, paused, resumed, oom, exit, deleted; without an id, to all containers"),
        Option("interval", TEXT, "DURATION", "time between two reports", default="5s"),
        Option("stats", FLAG, "", "print one report and end"))),
    Command("spec", "write a config.json to start from", "", 0, 0, (
        Option("bundle", TEXT, "DIR", "write into DIR (default: the current directory)", short="b"),
        Option("rootless", FLAG, "", "for a user without privileges"))),
    Command("plan", "print what create would do, step by step, and do nothing", "", 0, 0, (
        BUNDLE, CONFIG, STRICT, NO_PIVOT, NO_KEYRING,
        Option("id", TEXT, "ID", "plan for a container of this name", default="container"),
        Option("format", TEXT, "FORMAT", "text or json", default="text"),
        Option("diff", TEXT, "DIR", "print how the plan of the bundle DIR differs"))),
    Command("doctor", "say what this host can do for containers, and what it lacks", "", 0, 0, (
        Option("bundle", TEXT, "DIR", "say also which fields of this bundle it cannot honour",
               short="b"),
        CONFIG,
        Option("format", TEXT, "FORMAT", "text or json", default="text"))),
    Command("audit", "say what a bundle or a container gives away, worst first", "[container-id]",
            0, 1, (
        Option("bundle", TEXT, "DIR", "the bundle (default: the current directory)", short="b"),
        CONFIG,
        Option("format", TEXT, "FORMAT", "text, json or sarif", default="text"))),
    Command("inspect", "say what is really in force for a container, read from the kernel", ID,
            1, 1, (
        Option("verify", FLAG, "", "compare it with the config, and list the drift"),
        Option("host", FLAG, "", "show it beside the host's own"),
        Option("format", TEXT, "FORMAT", "text or json (default: text on a terminal)"))),
    Command("trace", "show what run, create and exec have written with --trace", "<file>", 1, 1, (
        Option("format", TEXT, "FORMAT", "text or svg; FILE itself is for Perfetto and "
               "chrome://tracing", default="text"),)),
    Command("validate", "say what is wrong with a config.json", "", 0, 0, (
        BUNDLE, CONFIG, STRICT)),
    Command("features", "print what this runtime supports, as JSON", "", 0, 0),
    Command("metrics", "print what was counted with --metrics, as Prometheus reads it", "", 0, 0),
    Command("checkpoint", "checkpoint a running container", ID, 1, 1, (
        *_CHECKPOINT_BOTH,
        Option("parent-path", TEXT, "DIR", "image files of the previous --pre-dump"),
        Option("leave-running", FLAG, "", "let the process run on"),
        Option("tcp-skip-in-flight", FLAG, "", "skip TCP connections that are being made"),
        Option("status-fd", NUMBER, "FD", "write a zero byte there when lazy pages are ready",
               default=-1),
        Option("page-server", TEXT, "ADDRESS:PORT", "send pages to this server"),
        Option("pre-dump", FLAG, "", "dump memory only, and let the process run on"))),
    Command("restore", "restore a container from a checkpoint", ID, 1, 1, (
        *_CHECKPOINT_BOTH, BUNDLE, CONSOLE_SOCKET, DETACH, PID_FILE, NO_SUBREAPER, NO_PIVOT,
        Option("tcp-close", FLAG, "", "close restored TCP connections"),
        Option("lsm-profile", TEXT, "TYPE:NAME", "restore with this LSM profile"),
        Option("lsm-mount-context", TEXT, "CONTEXT", "restore with this LSM mount context"))),
    Command("completion", "print the completion script of a shell", "bash|zsh|fish", 1, -1,
            options_first=True),
    Command("help", "show help for ocipy, for a command, or for an error code",
            "[command | code | errors]", 0, 1),
)  # fmt: skip
