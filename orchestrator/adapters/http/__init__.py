"""Probes over the network and on this machine: HTTP, TCP, and programs."""
