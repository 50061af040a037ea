"""Journal and lease in one SQLite file: the embedded default."""
