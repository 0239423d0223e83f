#!/usr/bin/env python3
"""Builds the wheels of clients/python, installs them as users do, and runs the client's tests on every Python that it finds.

    tests/system/python/check.py BINARY

1. Two wheels from one source: with the binary that is named on the command line, and without. A wheel from the sdist.
2. `pip install` without the index into a bare virtual environment of each Python, then `plugin-registry serve`; `uvx`.
   The wheel without the binary says where it looked.
3. mypy and pyright, both strict; the synchronous client is what tools/unasync.py makes.
4. The tests of clients/python on each Python, on real servers, with the installed wheel.
5. Upstream's own runtime, cjm-substrate, which needs Python 3.12: runtime/ beside this file.
6. The programs of the guide's pages, with the real packages: guide.py beside this file.
7. examples/transcriber.py, killed and started again: transcriber.py beside this file.

Packages are installed into target/python, in the versions that the files beside this one name.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1])]
import wheels  # noqa: E402
from packages import install, run  # noqa: E402
from pythons import PYTHONS, find_pythons  # noqa: E402

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
CLIENT = ROOT / "clients/python"
WORK = ROOT / "target/python"
# The Python of the tools, of upstream's runtime and of the guide's packages, if it is here.
MAIN = "3.12"

began = time.monotonic()


def say(text):
    print(f"{time.monotonic() - began:5.0f} s  {text}", flush=True)


def environment(python, name, *requirements):
    """A virtual environment with the packages that the files name."""
    venv, all_of_them = WORK / name, WORK / f"{name}.txt"
    all_of_them.write_text("".join(file.read_text() for file in requirements))
    install(WORK / f"{name}.installed", all_of_them, [
        (python, "-m", "venv", "--clear", venv),
        (venv / "bin/pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--requirement", all_of_them),
    ])
    return venv


def install_wheel(venv, wheel):
    run(venv / "bin/pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--force-reinstall", wheel)


def check_types(tools):
    run(tools / "bin/python", "tools/unasync.py", "--check", cwd=CLIENT)
    run(tools / "bin/mypy", "--cache-dir", WORK / "mypy", cwd=CLIENT)
    run(tools / "bin/pyright", "--pythonpath", tools / "bin/python", cwd=CLIENT)
    say("mypy and pyright find nothing")


def run_beside(name, *command):
    """Starts a command; the function that it returns waits for it and shows its last line, or all of it if it fails."""
    log = (WORK / f"{name}.log").open("w+")
    settings = {"stdout": log, "stderr": subprocess.STDOUT, "env": {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}}
    process = subprocess.Popen(command, **settings)

    def finish():
        code = process.wait()
        log.seek(0)
        text = log.read().strip()
        say(f"{name}: {text.splitlines()[-1]}")
        if code:
            sys.exit(text)

    return finish


def start_upstream(pythons, wheel):
    if MAIN not in pythons:
        return lambda: say(f"cjm-substrate needs Python {MAIN}, which this machine lacks: its tests do not run")
    venv = environment(pythons[MAIN], "upstream", HERE / "requirements.txt", HERE / "upstream.txt")
    install_wheel(venv, wheel)
    return run_beside("cjm-substrate", venv / "bin/python", "-m", "pytest", "-q", "-p", "no:cacheprovider", HERE / "runtime")


def start_guide(python, wheel):
    venv = environment(python, "guide", HERE / "requirements.txt", HERE / "guide.txt")
    install_wheel(venv, wheel)
    pages = sorted((ROOT / "docs/guide").glob("python*.md"))
    return run_beside("guide", venv / "bin/python", HERE / "guide.py", *pages)


def run_tests(environments):
    """Runs the tests of the client on each Python, two at a time: a test waits for its server most of the time."""
    waiting, running, failed = list(environments.items()), [], []
    while waiting or running:
        while waiting and len(running) < 2:
            version, venv = waiting.pop(0)
            log = (WORK / f"tests-{version}.log").open("w+")
            command = (venv / "bin/python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests")
            settings = {"env": {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}, "cwd": CLIENT}
            running.append((version, log, subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, **settings)))
        version, log, process = running.pop(0)
        code = process.wait()
        log.seek(0)
        text = log.read()
        say(f"tests on Python {version}: {text.strip().splitlines()[-1]}")
        if code:
            failed.append(version)
            print(text)
    if failed:
        sys.exit(f"tests failed on Python {', '.join(failed)}")


def main():
    binary = Path(sys.argv[1]).resolve(strict=True)
    WORK.mkdir(parents=True, exist_ok=True)
    pythons = find_pythons()
    for version in PYTHONS:
        say(f"Python {version}: {pythons.get(version, 'not found, so nothing is tried on it')}")
    if not pythons:
        sys.exit(f"none of Python {', '.join(PYTHONS)} is on this machine; install one")
    some = pythons.get(MAIN, next(iter(pythons.values())))

    tools = environment(some, "tools", HERE / "requirements.txt", HERE / "tools.txt")
    built = wheels.build(tools, binary, CLIENT, WORK)
    say(f"built {', '.join(wheel.name for wheel in built.values())}")
    for version, python in pythons.items():
        wheels.try_bare(python, WORK / f"bare-{version}", built, WORK)
        say(f"a bare environment of Python {version} serves")
    wheels.try_without_binary(some, WORK / "bare-without", built, WORK)
    wheels.try_uvx(tools, some, built, WORK)
    say("the wheel without the binary says so; uvx runs the other one")
    check_types(tools)

    environments = {version: environment(python, version, HERE / "requirements.txt") for version, python in pythons.items()}
    for venv in environments.values():
        install_wheel(venv, built["binary"])
    run_tests(environments)
    # These wait for the registry's probes and leases most of the time.
    finish_upstream = start_upstream(pythons, built["binary"])
    finish_guide = start_guide(some, built["binary"])
    finish_example = run_beside("example", next(iter(environments.values())) / "bin/python", HERE / "transcriber.py")
    finish_upstream()
    finish_guide()
    finish_example()


if __name__ == "__main__":
    main()
