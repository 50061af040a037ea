"""What lies in `journal.db`, and how it is told from any other file.

Four tables: `meta` says whose journal this is and which version of bg shaped it, `entries` holds
the records, `chronicle` their fold as a cache, `lease` who drives. The one rule: a file that is not
ours, or not ours to understand, is named and left exactly as it was. Nothing here waits, retries or
knows what a record means.
"""

from __future__ import annotations

import os
import sqlite3

from orchestrator import __version__
from orchestrator.ports.trouble import Damaged

SCHEMA = 1

# `sum` is a checksum over the whole row: SQLite itself has none for pages that were checkpointed.
# Began, Ended and Failed are most of what is written, and stand between Opened and Closed of their
# rollout: left out of the index, each of them is one page less to commit.
TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE entries (
    number INTEGER PRIMARY KEY, at_s REAL NOT NULL, epoch INTEGER NOT NULL,
    rollout INTEGER, kind TEXT NOT NULL, line TEXT NOT NULL, sum INTEGER NOT NULL
);
CREATE INDEX entries_of_rollout ON entries (rollout, kind)
    WHERE kind NOT IN ('Began', 'Ended', 'Failed');
CREATE TABLE chronicle (
    id INTEGER PRIMARY KEY CHECK (id = 1), version TEXT NOT NULL,
    last INTEGER NOT NULL, folded TEXT NOT NULL
);
CREATE TABLE lease (
    id INTEGER PRIMARY KEY CHECK (id = 1), epoch INTEGER NOT NULL, held INTEGER NOT NULL,
    who TEXT NOT NULL, doing TEXT NOT NULL, since_s REAL NOT NULL, until_s REAL NOT NULL,
    machine TEXT NOT NULL, boot TEXT NOT NULL, pid INTEGER NOT NULL, started INTEGER NOT NULL
);
INSERT INTO lease VALUES (1, 0, 0, '', '', 0, 0, '', '', 0, 0)
"""


def is_new(connection: sqlite3.Connection) -> bool:
    """Whether nothing was ever written there: the file is empty, or its making was cut short."""
    return connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone() is None


def create(connection: sqlite3.Connection, site: str) -> None:
    """Inside a transaction: the tables, and whose they are."""
    for statement in TABLES.split(";"):
        connection.execute(statement)
    meta = {
        "schema": str(SCHEMA),
        "site": site,
        "identity": os.urandom(8).hex(),
        "bg": __version__,
    }
    connection.executemany("INSERT INTO meta VALUES (?, ?)", meta.items())


def check(connection: sqlite3.Connection, site: str, path: str) -> None:
    """Raise `Damaged` unless this is the journal of this site, of a version that we know."""
    ours = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone()
    meta = dict(connection.execute("SELECT key, value FROM meta")) if ours else {}
    if "schema" not in meta or "site" not in meta:
        raise Damaged(
            f"{path} is a database, but not a journal of bg. Nothing was touched."
            " Move it away, or name another `state:` folder in the site file."
        )
    if not meta["schema"].isdecimal() or int(meta["schema"]) > SCHEMA:
        raise Damaged(
            f"The journal {path} is newer than this version of bg: it has form {meta['schema']}"
            f" and was written by bg {meta.get('bg', '?')}; this is bg {__version__} and knows"
            f" form {SCHEMA}. Nothing was touched. Use that bg, or a newer one."
        )
    if meta["site"] != site:
        raise Damaged(
            f"The journal {path} belongs to the site {meta['site']!r}, not to {site!r}."
            " Nothing was touched. Give each site a `state:` folder of its own,"
            " or put its old name back into the site file."
        )


def identity(connection: sqlite3.Connection) -> str:
    """The random name this journal got when it was made; what it fences with, two journals never
    share it.
    """
    row = connection.execute("SELECT value FROM meta WHERE key = 'identity'").fetchone()
    return str(row[0])
