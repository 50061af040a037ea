"""Twins of every port, in memory: for tests, rehearsals and the simulation that kills drivers."""
