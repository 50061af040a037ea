"""End-to-end tests may ask for what all others may; in CI nothing is left out here either."""

from tests.conftest import free_ports, pytest_runtest_makereport, real, root

__all__ = ["free_ports", "pytest_runtest_makereport", "real", "root"]
