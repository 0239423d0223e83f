"""`config edit` with editors that are scripts."""

import json
import os
import subprocess

# Notes what it is shown, and writes the next of the texts that stand in a file beside it.
EDITOR = """#!/usr/bin/env python3
import json, pathlib, sys
here, file = pathlib.Path(__file__).parent, pathlib.Path(sys.argv[-1])
texts, shown = json.loads((here / "texts").read_text()), json.loads((here / "shown").read_text())
assert file.stat().st_mode & 0o077 == 0, "others may read the configuration"
shown.append(file.read_text())
(here / "shown").write_text(json.dumps(shown))
if texts[0] is not None:
    file.write_text(texts[0])
(here / "texts").write_text(json.dumps(texts[1:]))
"""


def edit(binary, home, port, texts, editor=None):
    """Edits with these texts; returns what the editor was shown, the exit code, and what was said."""
    script = home / "editor"
    script.write_text(EDITOR)
    script.chmod(0o755)
    (home / "texts").write_text(json.dumps(texts))
    (home / "shown").write_text("[]")
    environment = os.environ | {"EDITOR": editor or str(script), "PLUGIN_REGISTRY_SERVER": f"http://127.0.0.1:{port}"}
    environment.pop("VISUAL", None)
    done = subprocess.run([binary, "config", "edit", "c_worker"], env=environment, capture_output=True, text=True, timeout=60, check=False)
    return json.loads((home / "shown").read_text()), done.returncode, done.stderr


def check(binary, home, port, send):
    shown, code, said = edit(binary, home, port, ["{", '{"threads": 0}', '{"threads": 4}'])
    assert code == 0 and "saved the configuration of c_worker" in said, (code, said)
    assert len(shown) == 3 and shown[0] == "{}\n", shown
    assert shown[1].startswith("# This is no JSON") and shown[1].endswith("\n{\n"), shown[1]
    assert shown[2].startswith("# ") and "/threads" in shown[2] and '{"threads": 0}' in shown[2], shown[2]
    assert send("GET", "/plugins/c_worker/config") == {"threads": 4}

    shown, code, said = edit(binary, home, port, [None])
    assert code == 0 and "nothing was changed" in said and '"threads": 4' in shown[0], (shown, code, said)
    shown, code, said = edit(binary, home, port, ['{"threads": 5}'], editor="false")
    assert code == 1 and not shown, (code, said)
    # Another client saves while the editor is open.
    meanwhile = f"sh -c '{binary} config set c_worker threads=7 --server http://127.0.0.1:{port} 2> /dev/null; {home}/editor \"$0\"'"
    shown, code, said = edit(binary, home, port, ['{"threads": 6}'], editor=meanwhile)
    assert code == 5, (code, said)
    assert send("GET", "/plugins/c_worker/config") == {"threads": 7}
    print("  `config edit`: mistakes come back on top, and nothing is overwritten", flush=True)
