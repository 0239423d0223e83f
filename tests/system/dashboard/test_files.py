"""The files in the binary: modules without comments and blank space that mean the same as those of the tree."""

import os
import re
import subprocess
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
APP = HERE.parents[2] / "src/dashboard/app"


def test_the_modules_of_the_binary_mean_the_same_as_those_of_the_tree(registry, tmp_path):
    with urllib.request.urlopen(registry.url) as page:
        folder = re.search(r'href="(ui/\w+)/', page.read().decode())[1]
    for module in APP.rglob("*.js"):
        copy = tmp_path / module.relative_to(APP)
        copy.parent.mkdir(exist_ok=True)
        with urllib.request.urlopen(f"{registry.url}/{folder}/app/{module.relative_to(APP)}") as served:
            copy.write_bytes(served.read())
    subprocess.run(["node", HERE / "same.mjs", os.environ["DASHBOARD_TYPESCRIPT"], APP, tmp_path], check=True)
