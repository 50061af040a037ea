"""Programs that tests start: small, and saying what they were given."""

from __future__ import annotations

from pathlib import Path

from orchestrator.releases import archive
from tests.agents.talk import Packed, tar_of

# Serves its version on a port; tells argv, environment and folder when asked for /given.
WEB = """#!/usr/bin/env python3
import http.server, json, os, sys
port, version = int(sys.argv[sys.argv.index("--port") + 1]), open("version").read().strip()
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        given = {"argv": sys.argv, "env": dict(os.environ), "cwd": os.getcwd()}
        if self.path == "/credential":
            given = open(os.environ["CREDENTIALS_DIRECTORY"] + "/token").read()
        body = (json.dumps(given) if self.path != "/" else version).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass
print("web", version, "on", port, flush=True)
http.server.ThreadingHTTPServer(("0.0.0.0", port), Answer).serve_forever()
"""
DIES = """#!/bin/sh
echo "going to die, \\033[31min red\\033[0m"
sleep ${LIVES:-2}
echo "no database" >&2
exit 7
"""
SLEEPS = "#!/bin/sh\necho here\nexec sleep 1000\n"


def packed(folder: Path, version: str, program: str = WEB, service: str = "web") -> Packed:
    """A release with one program, bin/web."""
    at = folder / f"{service}-{version}-{abs(hash(program))}"
    (at / "bin").mkdir(parents=True, exist_ok=True)
    (at / "bin/web").write_text(program)
    (at / "bin/web").chmod(0o755)
    (at / "version").write_text(version + "\n")
    return Packed(service, version, tar_of(at), archive.digest(str(at)))
