"""Called when the wheel is built: zips the agent, and adds it as
`orchestrator/adapters/ssh/agent.pyz`.

The one rule: what travels is what lies in agents/ at that moment, built by its own build. In a
checkout there is no such file, and whoever needs one builds it.
"""

from __future__ import annotations

import runpy
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class Agent(BuildHookInterface[Any]):
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":
            return
        self._folder = tempfile.TemporaryDirectory(prefix="bg-agent-")
        target = Path(self._folder.name) / "agent.pyz"
        runpy.run_path(str(Path(self.root) / "agents" / "build.py"))["build"](target)
        build_data["force_include"][str(target)] = "orchestrator/adapters/ssh/agent.pyz"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        if version != "editable":
            self._folder.cleanup()
