#!/usr/bin/env python3
"""Has generators make clients from the API's description, compiles them, and runs them against a service.

Starts the binary that is named on the command line. The generators are installed into target/generators, in the versions that
package-lock.json and requirements.txt beside this file name.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from packages import install_npm, install_pypi, run  # noqa: E402

HERE = Path(__file__).resolve().parent
WORK = HERE.parents[2] / "target/generators"
NODE, VENV = WORK / "node", WORK / "venv"


def install_all():
    NODE.mkdir(parents=True, exist_ok=True)
    for file in ("package.json", "package-lock.json", "tsconfig.json", "client.ts"):
        shutil.copy(HERE / file, NODE)
    install_npm(NODE, HERE / "package-lock.json")
    install_pypi(VENV, HERE / "requirements.txt")


def try_typescript(description, url):
    program = NODE / "node_modules/.bin"
    run(program / "openapi-typescript", description, "--output", NODE / "api.ts")
    run(program / "tsc", "--strict", "--project", NODE)
    print(run("node", NODE / "compiled/client.js", url), end="")


def try_python(description, url):
    settings = {"env": {**os.environ, "PATH": f"{VENV / 'bin'}:{os.environ['PATH']}"}}
    with tempfile.TemporaryDirectory() as folder:
        run(VENV / "bin/openapi-python-client", "generate", "--path", description, "--meta", "none", "--fail-on-warning",
            "--config", HERE / "openapi-python-client.yaml", "--output-path", Path(folder, "registry_client"), **settings)
        run(VENV / "bin/datamodel-codegen", "--input", description, "--input-file-type", "openapi", "--output",
            Path(folder, "models.py"), "--output-model-type", "pydantic_v2.BaseModel", "--formatters", "builtin", **settings)
        shutil.copy(HERE / "client.py", folder)
        print(run(VENV / "bin/python", Path(folder, "client.py"), url), end="")


def main():
    binary = Path(sys.argv[1]).resolve()
    install_all()
    service = subprocess.Popen(
        # Nothing listens where the clients let their webhooks go, and what they say they hold is made up.
        [binary, "serve", "--listen", "127.0.0.1:0", "--store", "memory", "--webhooks-allow-private", "--log-level", "error"],
        env={**os.environ, "PLUGIN_REGISTRY_PROBE_OWN_HOST": "false"}, stdout=subprocess.PIPE, text=True,
    )
    try:
        url = service.stdout.readline().split()[-1]
        description = WORK / "openapi.json"
        description.write_bytes(urllib.request.urlopen(f"{url}/openapi.json", timeout=20).read())
        try_typescript(description, url)
        try_python(description, url)
    finally:
        service.send_signal(signal.SIGTERM)
        code = service.wait(timeout=20)
    sys.exit(code)


main()
