"""Real hosts for tests: systemd, sshd, HAProxy and nginx, each in a network namespace of its own."""
