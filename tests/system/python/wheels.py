"""Builds the wheels, and tries them as users do."""

import os
import shutil
import signal
import subprocess
import sys
import tomllib
import urllib.request
import zipfile

from packages import run

# The names of the program in an environment.
COMMANDS = ("plugin-registry", "plr", "plugin-registryd")
PIP = ("-m", "pip", "--quiet", "--disable-pip-version-check")


def build(tools, binary, client, work):
    """Builds the wheel with the binary, the one without it, and the one from the sdist, which is the same as that."""
    dist, from_sdist = work / "dist", work / "from-sdist"
    for folder in (dist, from_sdist):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
    python = tools / "bin/python"
    # Debug information is four fifths of a debug build, and nothing here needs it.
    program = work / "plugin-registry"
    run("strip", "-o", program, binary)
    for environment in ({"PLUGIN_REGISTRY_BINARY": str(program)}, {}):
        run(python, "-m", "hatchling", "build", "-t", "wheel", "-d", dist, cwd=client, env={**os.environ, **environment})
    run(python, "-m", "hatchling", "build", "-t", "sdist", "-d", from_sdist, cwd=client)
    [sdist] = from_sdist.glob("*.tar.gz")
    run(python, *PIP, "wheel", "--no-deps", "--no-build-isolation", "-w", from_sdist, sdist)
    built = {"binary": one(dist, "*linux*"), "any": one(dist, "*-none-any*")}
    again = one(from_sdist, "*-none-any*")
    if contents(again) != contents(built["any"]):
        sys.exit(f"{again.name} of the sdist has other files than that of the sources")
    check_versions(built, binary, client)
    # The dependencies come from the index; the installations below must not ask it.
    run(python, *PIP, "download", "--dest", work / "dependencies", built["any"])
    return built


def one(folder, pattern):
    [found] = folder.glob(f"{pattern}.whl")
    return found


def contents(wheel):
    with zipfile.ZipFile(wheel) as archive:
        # RECORD has the digests of all others.
        [record] = [name for name in archive.namelist() if name.endswith("/RECORD")]
        return archive.read(record)


def check_versions(built, binary, client):
    crate = tomllib.loads((client.parents[1] / "Cargo.toml").read_text())["package"]["version"]
    said = run(binary, "--version").split()[1]
    named = {wheel.name.split("-")[1] for wheel in built.values()}
    package = (client / "src/plugin_registry/_core/sending.py").read_text()
    if named != {crate} or said != crate or f'VERSION = "{crate}"' not in package:
        sys.exit(f"the versions differ: crate {crate}, binary {said}, wheels {', '.join(named)}, or VERSION of the client")


def try_bare(python, venv, built, work):
    """`pip install plugin-registryd && plugin-registry serve`, from the folder of built wheels alone."""
    install(python, venv, work, ("--find-links", work / "dist", "plugin-registryd"))
    version = built["any"].name.split("-")[1]
    for command in COMMANDS:
        said = run(venv / "bin" / command, "--version")
        if said != f"plugin-registry {version}\n":
            sys.exit(f"{command} --version of {venv} says: {said}")
    said = run(venv / "bin/python", "-c", "import plugin_registry; print(plugin_registry.__version__)")
    if said.strip() != version:
        sys.exit(f"plugin_registry.__version__ is {said}")
    try_serving(venv)


def try_serving(venv):
    command = (venv / "bin/plugin-registry", "serve", "--listen", "127.0.0.1:0", "--store", "memory", "--log-level", "error")
    # As in a shell: no settings of this machine.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PLUGIN_REGISTRY_")}
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    try:
        url = server.stdout.readline().split()[-1]
        with urllib.request.urlopen(f"{url}/stats", timeout=30) as answer:
            if b'"total":0' not in answer.read():
                sys.exit("the installed registry does not answer")
    finally:
        server.send_signal(signal.SIGTERM)
        code = server.wait(30)
    if code:
        sys.exit(f"the installed registry ended with {code}")


def try_without_binary(python, venv, built, work):
    """On a machine that the wheel with the binary does not fit, the client works and the commands say what to do."""
    install(python, venv, work, (built["any"],))
    environment = {**os.environ, "PATH": "/usr/bin:/bin"}
    for command in COMMANDS:
        done = subprocess.run([venv / "bin" / command, "serve"], capture_output=True, text=True, env=environment)
        if done.returncode != 1 or "was not found. Looked at:" not in done.stderr or str(venv / "bin") not in done.stderr:
            sys.exit(f"{command} of the wheel without the binary exits with {done.returncode} and says:\n{done.stderr}")
    run(venv / "bin/python", "-c", "from plugin_registry import Registry; Registry('http://127.0.0.1:1').close()")


def try_uvx(tools, python, built, work):
    """`uvx plugin-registryd`: the command has the name of the distribution."""
    places = ("--no-index", "--find-links", work / "dist", "--find-links", work / "dependencies")
    cache = ("--cache-dir", work / "uv", "--python", python, "--no-config")
    said = run(tools / "bin/uvx", *cache, *places, "--refresh", "plugin-registryd", "--version")
    if f"plugin-registry {built['any'].name.split('-')[1]}\n" not in said:
        sys.exit(f"uvx plugin-registryd --version says: {said}")


def install(python, venv, work, what):
    run(python, "-m", "venv", "--clear", venv)
    # Neither the machine's configuration of pip nor its index.
    environment = {**os.environ, "PIP_CONFIG_FILE": os.devnull}
    run(venv / "bin/python", *PIP, "install", "--no-index", "--find-links", work / "dependencies", *what, env=environment)
