"""The far side of `bench.hosts`: many hosts as one process tree, which ends as one."""
