"""The systemd cgroup driver: systemd makes the container's cgroup, as a scope unit of its own."""
