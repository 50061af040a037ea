"""bg: two installations of everything, and traffic switched between them in an instant."""

__version__ = "0.1.0"
