"""Packages of npm and PyPI for the tests, in the versions that a lock names."""

import hashlib
import subprocess
import sys


def run(*command, **settings):
    """Runs a command and returns its output, or ends the test with it."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **settings)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}:\n{done.stdout}")
    return done.stdout


def install(stamp, lock, commands):
    """Runs the commands that install what the file `lock` names. Does nothing if `stamp` says that they have run."""
    wanted = hashlib.sha256(lock.read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted:
        return
    for command in commands:
        run(*command)
    stamp.write_text(wanted)


def install_npm(folder, lock):
    """Installs the packages of a package-lock.json, which stands in `folder`, too."""
    command = ("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", folder)
    install(folder.with_name(f"{folder.name}.installed"), lock, [command])


def install_pypi(venv, requirements):
    """Installs the packages of a requirements.txt, which names all of them, into a virtual environment."""
    pip = (venv / "bin/pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps")
    install(venv.with_name(f"{venv.name}.installed"), requirements, [
        (sys.executable, "-m", "venv", "--clear", venv),
        (*pip, "--requirement", requirements),
    ])
