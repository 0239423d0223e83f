#!/usr/bin/env python3
"""Checks the dashboard: its packages, its types, and its pages in a real browser.

    ./check.py BINARY [ARGUMENTS OF PYTEST]

The packages are installed into target/dashboard, in the versions that package-lock.json and requirements.txt beside this
file name. The browser is the Chromium of PATH.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
sys.path.insert(0, str(HERE.parent))
from packages import install_npm, install_pypi, run  # noqa: E402

WORK = ROOT / "target/dashboard"
NODE, VENV = WORK / "node", WORK / "venv"
SOURCE = ROOT / "src/dashboard"


def install():
    NODE.mkdir(parents=True, exist_ok=True)
    for file in ("package.json", "package-lock.json"):
        shutil.copy(HERE / file, NODE)
    install_npm(NODE, HERE / "package-lock.json")
    install_pypi(VENV, HERE / "requirements.txt")


def check_types(binary):
    """Makes types from the description that the server gives, and checks the dashboard's own types with them."""
    (WORK / "openapi.json").write_text(run(binary, "openapi"))
    tools = NODE / "node_modules/.bin"
    run(tools / "openapi-typescript", WORK / "openapi.json", "--output", WORK / "openapi.d.ts")
    run(tools / "tsc", "--project", SOURCE)


def main():
    binary = Path(sys.argv[1]).resolve()
    install()
    print(run(sys.executable, SOURCE / "vendor/renew.py", "--check").strip())
    check_types(binary)
    print("the types of the dashboard fit those of the API")
    settings = {**os.environ, "DASHBOARD_BINARY": str(binary), "DASHBOARD_AXE": str(NODE / "node_modules/axe-core/axe.min.js"),
                "DASHBOARD_TYPESCRIPT": str(NODE / "node_modules/typescript")}
    command = [VENV / "bin/python", "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "--durations=5", HERE, *sys.argv[2:]]
    sys.exit(subprocess.run(command, env=settings).returncode)


main()
