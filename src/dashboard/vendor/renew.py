#!/usr/bin/env python3
"""Makes the files of this folder from npm packages, and checks that they are these packages.

    ./renew.py           takes the packages of vendor.lock, and writes their files
    ./renew.py --latest  takes the newest versions instead, and writes vendor.lock, too
    ./renew.py --check   writes nothing; fails if a file or an integrity differs (CI)

Browsers load these modules as they are, without a bundler, and an import map would need an inline script, which the
page's policy refuses. So the imports of packages become paths: `from"preact"` becomes `from"./preact.js"`. uPlot has no
minified module; its script gets an `export` at its end. Nothing else changes. Maps of sources are not kept.
"""

import base64
import hashlib
import json
import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
LOCK = HERE / "vendor.lock"

# Each file: its package, the file there, and the module that its types describe.
FILES = {
    "preact.js": ("preact", "dist/preact.mjs", "preact"),
    "hooks.js": ("preact", "hooks/dist/hooks.mjs", "preact/hooks"),
    "htm.js": ("htm", "dist/htm.module.js", "htm"),
    "signals-core.js": ("@preact/signals-core", "dist/signals-core.mjs", "@preact/signals-core"),
    "signals.js": ("@preact/signals", "dist/signals.mjs", "@preact/signals"),
    "uplot.js": ("uplot", "dist/uPlot.iife.min.js", "uplot"),
    "uplot.css": ("uplot", "dist/uPlot.min.css", None),
}
# What a module's import becomes.
PATHS = {module: f"./{name}" for name, (_, _, module) in FILES.items() if module}


def npm(*arguments, **settings):
    return subprocess.run(["npm", *arguments], check=True, stdout=subprocess.PIPE, text=True, **settings).stdout


def integrity(archive):
    """What npm's locks say of an archive."""
    return "sha512-" + base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()


def fetch(package, version, folder):
    """Downloads a package, and returns its archive."""
    (packed,) = json.loads(npm("pack", "--json", f"{package}@{version}", cwd=folder, stderr=subprocess.DEVNULL))
    return folder / packed["filename"].replace("@", "").replace("/", "-")


def member(archive, path):
    with tarfile.open(archive) as packed:
        return packed.extractfile(f"package/{path}").read().decode()


def rewritten(text, name):
    """The text of a module, with paths for the packages that it imports."""
    if name == "uplot.js":
        return text.rstrip() + "\nexport default uPlot;\n"
    text = re.sub(r"\n?//# sourceMappingURL=\S+\s*$", "", text)
    text = re.sub(r'\b(from|import)"([^".][^"]*)"', lambda found: f'{found[1]}"{PATHS[found[2]]}"', text)
    return text.rstrip() + "\n"


def types(name, module):
    """The types of a module: those of its package, which tsconfig.json finds."""
    default = name in ("htm.js", "uplot.js")
    return f'export {{ default }} from "{module}";\n' if default else f'export * from "{module}";\n'


def made(archives):
    """All files of the folder, by name."""
    files = {}
    for name, (package, path, module) in FILES.items():
        text = member(archives[package], path)
        files[name] = rewritten(text, name) if module else text.rstrip() + "\n"
        if module:
            files[name.replace(".js", ".d.ts")] = types(name, module)
    notes = [f"{package}\n\n{member(archive, 'LICENSE').strip()}\n" for package, archive in sorted(archives.items())]
    files["licences.txt"] = ("\n" + "-" * 80 + "\n\n").join(notes)
    return files


def main():
    mode = sys.argv[1:]
    if mode not in ([], ["--latest"], ["--check"]):
        sys.exit(__doc__)
    locked = json.loads(LOCK.read_text()) if LOCK.exists() else {}
    archives, lock = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        for package in sorted({package for package, _, _ in FILES.values()}):
            known = None if mode == ["--latest"] else locked.get(package)
            version = known["version"] if known else npm("view", package, "version").strip()
            archives[package] = fetch(package, version, Path(folder))
            lock[package] = {"version": version, "integrity": integrity(archives[package])}
            if known and known != lock[package]:
                sys.exit(f"{package} {version} has the integrity {lock[package]['integrity']}, not {known['integrity']}")
        files = made(archives)
    files[LOCK.name] = json.dumps(lock, indent=2) + "\n"
    if mode == ["--check"]:
        kept = {path.name for path in HERE.iterdir() if path.name != Path(__file__).name}
        wrong = [name for name in sorted(kept | set(files))
                 if name not in files or name not in kept or (HERE / name).read_text() != files[name]]
        if wrong:
            sys.exit(f"these files of {HERE} are not what the packages have: {', '.join(wrong)}; run renew.py")
        print(f"{len(files)} files are those of {len(lock)} packages")
        return
    for name, text in files.items():
        (HERE / name).write_text(text)
    print(", ".join(f"{package} {facts['version']}" for package, facts in lock.items()))


if __name__ == "__main__":
    main()
