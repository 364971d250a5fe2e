"""What `ocipy help E301` says. A code is never given another meaning; new ones may come."""

from __future__ import annotations

from ocipy.errors import UsageError

# Code: what it is called, what it means, what to do.
CODES: dict[str, tuple[str, str, str]] = {
    "E100": (
        "it could not be done",
        "Something outside of config.json stood in the way: a file, a socket, a descriptor, "
        "another program. The message names it.",
        "Follow the hint of the message. 'ocipy --debug' logs every step that was taken before.",
    ),
    "E110": (
        "the command line is wrong",
        "An option or argument is unknown, missing, or has a value that cannot be understood; "
        "or a file that it names cannot be read. Nothing was done.",
        "'ocipy COMMAND --help' lists what the command takes, with examples.",
    ),
    "E200": (
        "config.json breaks a rule of the OCI runtime specification",
        "The message has the place: line and column, and a JSON pointer such as /mounts/3/type. "
        "Nothing was done.",
        "'ocipy validate' shows the lines; 'ocipy spec' writes a config that is right.",
    ),
    "E201": (
        "config.json breaks several rules",
        "As E200; all faults are listed at once.",
        "Mend them from the top: a later one is sometimes the consequence of an earlier one.",
    ),
    "E210": (
        "config.json is right, but this host cannot do what it asks for",
        "The kernel, its configuration or a library lacks something. The message says what, and "
        "where it can be known, since which version there is such a thing.",
        "'ocipy doctor --bundle DIR' lists everything that this host cannot do for the bundle.",
    ),
    "E300": (
        "the container is in a state that forbids the command",
        "Such as to start one that runs already, or to delete one that still runs. Nothing was "
        "done.",
        "'ocipy state ID' prints the state; 'ocipy list' that of all containers.",
    ),
    "E301": (
        "there is no such container",
        "Below the state root there is no record for this id. Each state root has containers of "
        "its own: Docker, podman and containerd have theirs, and so has every user.",
        "'ocipy list' prints the ids; '--root DIR' chooses another state root.",
    ),
    "E302": (
        "the container is busy",
        "Another ocipy command is changing it at this moment.",
        "Try again. The message has the process id of the other one.",
    ),
    "E303": (
        "the record of the container cannot be read",
        "Its state.json is damaged, or was written by a newer ocipy.",
        "'ocipy delete --force ID' kills and removes what is certain to be the container's, and "
        "says what else there is.",
    ),
    "E400": (
        "a step of the plan failed",
        "The kernel refused a system call. The message says which one, why, and which value of "
        "config.json asked for it. What was done before was taken back.",
        "'ocipy plan' prints all steps; 'ocipy doctor --bundle DIR' says what the host cannot "
        "do.",
    ),
    "E410": (
        "the program cannot be executed",
        "The first of process.args is not in the root file system, is no program for this "
        "machine, or its interpreter or loader is missing. Docker turns this into the exit "
        "codes 126 and 127.",
        "Look into the root file system; the program is looked for along PATH of process.env.",
    ),
    "E420": (
        "ocipy-init died before the program started",
        "A limit (memory), a signal, or a seccomp profile that forbids what starting a program "
        "takes.",
        "Raise the limit; 'ocipy run --record-seccomp FILE' finds out what the program needs.",
    ),
    "E430": (
        "systemd cannot be reached, or refuses",
        "With --systemd-cgroup it is systemd that makes the cgroup: the system's for root, the "
        "user's own for others. The message has its answer, or which sockets were tried.",
        "Install or start D-Bus, log in with a session (loginctl enable-linger), or leave "
        "--systemd-cgroup out; docs/systemd.md has each case.",
    ),
    "E500": (
        "a hook failed",
        "A program of /hooks could not be started, ended with a status other than 0, or ran out "
        "of time. Its output is in the message. Only a poststop hook may fail without "
        "consequences.",
        "Run the hook by hand, with the container's state (ocipy state ID) on its standard "
        "input.",
    ),
    "E900": (
        "a bug in ocipy, or a machine that is full, locked up or read-only",
        "An error that nobody expected.",
        "Report it with what 'ocipy --debug' logs for the same command.",
    ),
}  # fmt: skip

EXIT_STATUS = """\
Exit status of ocipy:

  0        success
  1        an error, of any code
  3        there is no such command, or no such help topic
  10       doctor: something fails; inspect --verify: there is drift
  10 20 30 audit: the worst finding is medium, high, critical
  255      an error of exec, where 1 may be the status of the process itself
  0...255  of run and exec in the foreground: that of the process; 128 + n for signal n
  130      interrupted from the keyboard
  141      nobody reads the standard output any more
"""


def describe_code(code: str) -> str:
    """Return the help text of an error code. Raises UsageError for one that does not exist."""
    if code not in CODES:
        raise UsageError(
            f"there is no error code {code!r}", hint="'ocipy help errors' lists them", exit_code=3
        )
    import textwrap

    title, meaning, remedy = CODES[code]
    paragraphs = [f"{code}: {title}", meaning, f"What to do: {remedy}"]
    return "\n\n".join(textwrap.fill(paragraph, 80) for paragraph in paragraphs) + "\n"


def list_codes() -> str:
    """Return a line for each code, and what the exit statuses mean."""
    lines = [f"  {code}  {title}" for code, (title, _, _) in CODES.items()]
    return "Error codes:\n\n" + "\n".join(lines) + "\n\n" + EXIT_STATUS
