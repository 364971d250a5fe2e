"""What each command is used like: shown by `--help`, the man pages and the reference."""

from __future__ import annotations

# Command to pairs of what is wanted and what is typed.
EXAMPLES: dict[str, tuple[tuple[str, str], ...]] = {
    "audit": (
        ("what a bundle gives away", "ocipy audit --bundle web"),
        ("the same of a container that runs", "ocipy audit demo"),
        ("for code scanners", "ocipy audit --format sarif > audit.sarif"),
    ),
    "checkpoint": (("write the processes to files", "ocipy checkpoint --image-path saved demo"),),
    "completion": (
        ("in ~/.bashrc", 'eval "$(ocipy completion bash)"'),
        ("in ~/.zshrc, after compinit", 'eval "$(ocipy completion zsh)"'),
        ("once, for fish", "ocipy completion fish > ~/.config/fish/completions/ocipy.fish"),
    ),
    "create": (
        ("of the bundle in this directory", "ocipy create demo"),
        ("of another, with the pid in a file", "ocipy create -b web --pid-file web.pid web"),
        ("of a config from a program", "generate | ocipy create --config - demo"),
    ),
    "delete": (
        ("after it has ended", "ocipy delete demo"),
        ("whatever it is doing", "ocipy delete --force demo"),
        ("all of them", "ocipy list -q | xargs -rn1 ocipy delete --force"),
    ),
    "doctor": (
        ("what this host can do", "ocipy doctor"),
        ("what of a bundle it cannot", "ocipy doctor --bundle web"),
    ),
    "events": (
        ("usage, every five seconds", "ocipy events demo"),
        ("memory in use now", "ocipy events --stats demo | jq .data.memory.usage.usage"),
        ("what happens to all containers", "ocipy events --lifecycle"),
    ),
    "exec": (
        ("a shell in it", "ocipy exec --tty demo /bin/sh"),
        ("as another user, with a variable", "ocipy exec -u 1000:1000 -e LANG=C demo env"),
        ("what a file describes", "ocipy exec --process process.json demo"),
    ),
    "features": (("which capabilities it knows", "ocipy features | jq .linux.capabilities"),),
    "help": (
        ("of one command", "ocipy help run"),
        ("what an error code means", "ocipy help E110"),
    ),
    "inspect": (
        ("what is in force on its process", "ocipy inspect demo"),
        ("how that differs from its config", "ocipy inspect --verify demo"),
        ("side by side with the host", "ocipy inspect --host --format text demo"),
    ),
    "kill": (
        ("ask it to end", "ocipy kill demo"),
        ("end it", "ocipy kill demo KILL"),
        ("tell all its processes", "ocipy kill --all demo HUP"),
    ),
    "list": (
        ("as a table", "ocipy list"),
        ("the ones that run", "ocipy list -f json | jq -r '.[] | select(.status==\"running\").id'"),
    ),
    "metrics": (("for Prometheus to read", "ocipy metrics"),),
    "pause": (("until 'ocipy resume'", "ocipy pause demo"),),
    "plan": (
        ("of the bundle in this directory", "ocipy plan"),
        ("which steps a field is behind", "ocipy plan | grep '\\[/mounts/2\\]'"),
        ("how two bundles differ", "ocipy plan --bundle web --diff web-new"),
    ),
    "ps": (
        ("as ps -ef shows them", "ocipy ps demo"),
        ("with other columns", "ocipy ps demo -eo pid,rss,args"),
        ("pids for a program", "ocipy ps -f json demo"),
    ),
    "restore": (("from files of checkpoint", "ocipy restore --image-path saved -d demo"),),
    "resume": (("after 'ocipy pause'", "ocipy resume demo"),),
    "run": (
        ("in the foreground, until it ends", "ocipy run demo"),
        ("of another bundle, in the background", "ocipy run -d --bundle web web"),
        ("keep it to look at afterwards", "ocipy run --keep demo; ocipy state demo"),
        ("see where the time goes", "ocipy run --trace demo.json demo; ocipy trace demo.json"),
        ("find out which system calls it needs", "ocipy run --record-seccomp calls.json demo"),
    ),
    "spec": (
        ("into this directory", "ocipy spec"),
        ("for somebody without root", "ocipy spec --rootless --bundle mine"),
    ),
    "start": (("after 'ocipy create demo'", "ocipy start demo"),),
    "state": (("its pid, if it runs", "ocipy state demo | jq .pid"),),
    "trace": (
        ("where the time of a run went", "ocipy run --trace demo.json demo; ocipy trace demo.json"),
        ("as a picture", "ocipy trace --format svg demo.json > demo.svg"),
    ),
    "update": (
        ("more memory, fewer processes", "ocipy update --memory 512M --pids-limit 50 demo"),
        ("half a CPU", "ocipy update --cpu-period 100000 --cpu-quota 50000 demo"),
        ("from a program", 'echo \'{"pids":{"limit":50}}\' | ocipy update -r - demo'),
    ),
    "validate": (
        ("the bundle in this directory", "ocipy validate"),
        ("a file, with unknown fields as faults", "ocipy validate --strict --config my.json"),
    ),
    "wait": (
        ("until it has ended", "ocipy wait demo"),
        ("but no longer than a minute", "ocipy wait --timeout 1m demo"),
    ),
}
