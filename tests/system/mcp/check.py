#!/usr/bin/env python3
"""Tries the tools for AI agents with the official clients of the Model Context Protocol.

The Python SDK calls every tool over HTTP and over stdio, in both versions of the protocol, with and without a token. The
inspector of npm lists and calls tools. Two replicas of one PostgreSQL answer as one, over both. Two servers of others, one of npm and
one of PyPI, run under `exec` as without it. Starts the binary that is named on the command line.
The packages are installed into target/mcp, in the versions that requirements.txt and package-lock.json name.
"""

import http.client
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "proxy")]
import recipe  # noqa: E402
import stdio  # noqa: E402
from packages import install_npm, install_pypi, run  # noqa: E402
from registries import Registries, fill, wait_for_ghost  # noqa: E402

WORK = HERE.parents[2] / "target/mcp"
NODE, VENV = WORK / "node", WORK / "venv"
VERSIONS = ["legacy", "2026-07-28"]
ROLES = ["admin", "viewer"]


def call(target, version, pid, *token):
    print(f"  the Python SDK in version {version}, {target}{', with a token' if token else ''}", flush=True)
    run(VENV / "bin/python", HERE / "client.py", target, version, str(pid), *token)


def inspect(*arguments):
    command = [NODE / "node_modules/.bin/mcp-inspector", "--cli", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def check_inspector(pid, *target):
    tools = inspect(*target, "--method", "tools/list")["tools"]
    assert len(tools) == 8, tools
    asked = ["--method", "tools/call", "--tool-name", "list_held", "--tool-arg", "plugin=mcp_worker"]
    answer = inspect(*target, *asked)
    assert answer["structuredContent"]["items"][0]["id"] == str(pid), answer
    print("  the inspector", flush=True)


def install():
    install_pypi(VENV, HERE / "requirements.txt")
    NODE.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name, NODE)
    install_npm(NODE, NODE / "package-lock.json")


def tokens_of(binary, folder):
    """A file with a token of each role, and the tokens."""
    shown = {role: run(binary, "token", "generate", "--name", role, "--role", role).splitlines() for role in ROLES}
    file = folder / "tokens.json"
    file.write_text(json.dumps({"token": [json.loads(lines[-1])["token"][0] for lines in shown.values()]}))
    return file, *(shown[role][0] for role in ROLES)


def check_one(binary, folder, registries, alive):
    """One registry without tokens, and one with, over HTTP and stdio."""
    port = registries.serve()
    fill(port, alive)
    file, admin, viewer = tokens_of(binary, folder)
    closed = registries.serve(PLUGIN_REGISTRY_TOKENS_FILE=str(file))
    fill(closed, alive, admin)
    wait_for_ghost(port)
    wait_for_ghost(closed, admin)
    for version in VERSIONS:
        for place in (f"http://127.0.0.1:{{}}/mcp", f"{binary} mcp --server http://127.0.0.1:{{}}"):
            call(place.format(port), version, alive)
            call(place.format(closed), version, alive, viewer)
    connection = http.client.HTTPConnection("127.0.0.1", closed, timeout=30)
    connection.request("POST", "/mcp", "{}", {"Content-Type": "application/json"})
    assert connection.getresponse().status == 401, "no token, no tools"
    check_inspector(alive, f"http://127.0.0.1:{port}/mcp", "--transport", "http")
    settings = {"SERVER": f"http://127.0.0.1:{closed}", "TOKEN": viewer}
    variables = [word for name, value in settings.items() for word in ("-e", f"PLUGIN_REGISTRY_{name}={value}")]
    check_inspector(alive, *variables, binary, "mcp")
    stdio.check_one_that_was_away(binary, registries, alive)
    stdio.check_without_a_token(binary, closed)
    stdio.check_a_context(binary, closed, viewer, folder)
    stdio.check_strangers(binary)
    print("  a registry that was away, without a token, of a context", flush=True)
    everything = [shutil.which("node"), str(NODE / "node_modules/@modelcontextprotocol/server-everything/dist/index.js"), "stdio"]
    recipe.check(binary, port, "everything", everything, "echo", {"message": recipe.TEXT})
    clock = [str(VENV / "bin/mcp-server-time"), "--local-timezone", "Asia/Tokyo"]
    recipe.check(binary, port, "time", clock, "convert_time", {"source_timezone": recipe.TEXT, "time": "12:00", "target_timezone": "UTC"})


def check_replicas(binary, registries):
    """Two replicas of one PostgreSQL."""
    postgres, home = HERE.parent / "postgres", tempfile.mkdtemp()
    try:
        store = run(postgres, "start", home).splitlines()[-1] + "/postgres"
        ports = [registries.serve(store=store) for _ in range(2)]
        stdio.check_replicas(binary, *ports)
        for version in VERSIONS:
            run(VENV / "bin/python", HERE / "replicas.py", version, *map(str, ports))
        print("  two replicas of one PostgreSQL, over stdio and HTTP", flush=True)
        for server in registries.running[-2:]:
            server.terminate()
            server.wait(30)
    finally:
        run(postgres, "stop", home)


def main():
    binary = str(Path(sys.argv[1]).resolve())
    install()
    with tempfile.TemporaryDirectory() as folder, subprocess.Popen(["sleep", "600"]) as alive:
        try:
            with Registries(binary, folder) as registries:
                check_one(binary, Path(folder), registries, alive.pid)
                check_replicas(binary, registries)
        finally:
            alive.kill()
    print("the tools answer both official clients, over HTTP and stdio")


main()
