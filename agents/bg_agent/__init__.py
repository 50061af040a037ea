"""The program that runs on a host, spoken to over one session in JSON lines.

It looks at what systemd runs and at what lies on the disk, and changes both when it is asked by the
youngest driver of the journal that the site belongs to. What it must remember is in the site's
ledger; it may be killed at any time. Python 3.8 or later, its standard library, and nothing else.

`CONTENT` is written by the build: the digest of all its modules, so that it can say which one it
is.
"""

VERSION = "0.1.0"
PROTOCOL = 1
CONTENT = "unbuilt"
