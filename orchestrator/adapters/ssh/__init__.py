"""Releases on hosts: one kept SSH connection each, and the agent of bg at its other end."""
