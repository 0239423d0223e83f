#!/usr/bin/env python3
"""Runs the programs of the guide's pages about Python, each page against a registry of its own.

    guide.py PAGE…      with the Python whose packages the pages use

A block `python` continues the page's program; a block `text` after it is what it prints by then. A block `python FILE` is a
file beside the program: a module, or tests if its name begins with test_.
"""

import doctest
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from plugin_registry import local_server

FENCE = re.compile(r"^```(?P<language>python|text)(?: (?P<file>\S+))?\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)
# The longest that a program may take, in seconds: Ray takes 20 to start on two busy cores.
PATIENCE = 180


def read(page):
    """The page's program, what it prints, and the files beside it."""
    program, printed, files = "", "", {}
    for block in FENCE.finditer(page.read_text()):
        if block["file"]:
            files[block["file"]] = block["text"]
        elif block["language"] == "python":
            program += block["text"] + "\n"
        else:
            printed += block["text"]
    return program, printed, files


def run(command, folder, url):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PLUGIN_REGISTRY_")}
    environment |= {"PLUGIN_REGISTRY_SERVER": url, "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=PATIENCE)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def check(page):
    program, printed, files = read(page)
    with tempfile.TemporaryDirectory() as name, local_server(arguments=["--probe-interval=1"]) as url:
        folder = Path(name)
        for file, text in files.items():
            (folder / file).write_text(text)
        (folder / "program.py").write_text(program)
        got = run([sys.executable, "program.py"], folder, url)
        if not doctest.OutputChecker().check_output(printed, got, doctest.ELLIPSIS):
            sys.exit(f"{page} says that its program prints:\n{printed}It prints:\n{got}")
        for file in files:
            if file.startswith("test_"):
                run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", file], folder, url)
    return len(program.splitlines()), len(files)


def main():
    for page in map(Path, sys.argv[1:]):
        lines, files = check(page)
        print(f"{page.name}: {lines} lines and {files} files run")


main()
