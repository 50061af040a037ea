"""The identity of a release: the digest of its artifact's content, and of how it is run.

Pure. The one rule: whoever has the digest of a release can tell whether a recipe is the one that
it was made with. It refuses to know where artifacts lie.
"""

from __future__ import annotations

import hashlib
import json

from orchestrator.core import record
from orchestrator.core.model import Recipe


def release_digest(artifact: str, recipe: Recipe) -> str:
    """`artifact`: the digest of its content, in hexadecimal."""
    return hashlib.sha256(f"bg release 1\n{artifact}\n{how(recipe)}".encode()).hexdigest()


def how(recipe: Recipe) -> str:
    """The recipe as canonical JSON. What came later and is not said is left out of it: releases
    that were made before keep their identity.
    """
    words = record.plain(recipe)
    if not recipe.unit:
        del words["unit"]
    return json.dumps(words, sort_keys=True, separators=(",", ":"))
