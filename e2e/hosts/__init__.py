"""Real hosts for tests: systemd, sshd, HAProxy, nginx, each in a network namespace of its own."""
