"""Makes the synchronous client from the asynchronous one: ``python tools/unasync.py [--check]``."""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent / "src" / "plugin_registry"
OWN = {"__init__.py", "aio.py"}
NOTE = "# Made by tools/unasync.py from _async/{name}. Do not edit it.\n"
WORDS = [
    (r"\basync (def|with|for)\b", r"\1"),
    (r"\bawait ", ""),
    (r"\b_?async with\b", "with"),
    (r"\basynccontextmanager\b", "contextmanager"),
    (r"\bAsync(Iterator|Iterable|Generator)\b", r"\1"),
    (r"\bAsyncClient\b", "Client"),
    (r"\bAsync([A-Z]\w*)", r"\1"),
    (r"\b__a(enter|exit|iter|next)__\b", r"__\1__"),
    (r"\bStopAsyncIteration\b", "StopIteration"),
    (r"\baclose\b", "close"),
    (r"\baclosing\b", "closing"),
    (r"\baread\b", "read"),
    (r"\banext\b", "next"),
    (r"\baiter_(\w+)", r"iter_\1"),
    (r"\bExitAsyncStack\b", "ExitStack"),
    (r"Coroutine\[Any, Any, (\w+)\]", r"\1"),
    (r"\bAwaitable\[(\w+)\]", r"\1"),
    (r"import Awaitable, Callable", "import Callable"),
    (r"\basync_registry\b", "registry"),
    (r"\basynchronous\b", "synchronous"),
    (r"\b_async\b", "_sync"),
]


def synchronous(text: str, name: str) -> str:
    """The synchronous file."""
    for pattern, replacement in WORDS:
        text = re.sub(pattern, replacement, text)
    return NOTE.format(name=name) + text


def main() -> int:
    stale = []
    for source in sorted((ROOT / "_async").glob("*.py")):
        if source.name in OWN:
            continue
        target = ROOT / "_sync" / source.name
        text = synchronous(source.read_text(), source.name)
        if target.exists() and target.read_text() == text:
            continue
        stale.append(target.name)
        if "--check" not in sys.argv:
            target.write_text(text)
    if stale and "--check" in sys.argv:
        print(f"stale: {', '.join(stale)}; run python tools/unasync.py")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
