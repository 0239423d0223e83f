#!/usr/bin/env python3
"""Checks the documents: README.md, ARCHITECTURE.md, docs/ and the other Markdown files at the top.

    tests/system/docs/check.py BINARY [PAGE…]      checks all documents, and runs the commands of all pages, or of these
    tests/system/docs/check.py --write BINARY …    writes into the pages what their commands print

1. Each command of a `console` block prints what the page says. See `Shell` for how a page runs.
   Blocks of another language (`sh`, `python`, `toml`) are not run. They need what CI does not have (a Docker engine,
   systemd, a cluster, a second machine, a public receiver), take too long (a release build), or have no fixed output.
   The Docker image, compose.yaml, the packages and the manifests have tests of their own beside this folder.
2. Each relative link leads to a file, and each anchor to a heading.
3. README.md and ARCHITECTURE.md keep their lengths.
4. The prose keeps the words and the sentence length of the house style.
5. Each flag and each environment variable of the registry that a page names is one that `--help-all` names.
6. docs/SUMMARY.md lists every page of docs/.
7. Each path, test and name of the code that ARCHITECTURE.md names exists, and its maps name every folder.
   So does each path of the repository that another page names.
"""

import os
import re
import select
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
# The longest that a command may take, in seconds. Long polls for findings take some 20.
PATIENCE = 90
PORT = 8080
# The folders and files at the top that commands name.
BESIDE_COMMANDS = ["examples", "ops", "packaging"]

LINES = {"README.md": 150, "ARCHITECTURE.md": 200}
WIDTHS = {"README.md": 100}
WORDS_OF_A_SENTENCE = 25
# Words that hide the actor, or that no reader of etcd's or Kubernetes' documents would expect.
FORBIDDEN = re.compile(
    r"\b(nobody|somebody|whoever|whom|lest|heeded|yet to come|any more|of one's own|is told|are told|is to be had)\b",
    re.IGNORECASE,
)
# Pages that are generated: their sentences are those of the sources.
GENERATED = {"endpoints.md", "fields.md", "settings.md", "metrics.md", "problems.md"}

# Where a path of ARCHITECTURE.md may begin: its table says `extract/` after `src/http/`.
PATHS_BEGIN_IN = ["", "src", "src/http", "src/store", "crates/domain/src", "tests/it", "tests"]
# The folders whose folders the maps of ARCHITECTURE.md name, each of them.
MAPPED = [".", "crates", "src", "src/http", "tests", "tests/it"]
# Folders that are no part of the map: what tools make, and what tools read.
UNMAPPED = {"target", "docs", "crates", "src", "tests"}

# Flags of other programs that pages name by themselves.
FOREIGN_FLAGS = {"--pid", "--group-add", "--read-only", "--cap-drop", "--security-opt", "--publish"}
# The variables that only the Python client reads.
CLIENT_VARIABLES = {"PLUGIN_REGISTRY_BINARY"}
FLAG = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]+")
VARIABLE = re.compile(r"PLUGIN_REGISTRY_[A-Z_]*[A-Z]")

FENCE = re.compile(r"^( *)```(?P<language>\w*) ?(?P<file>[^\n]*)\n(?P<text>.*?)^\1```$", re.DOTALL | re.MULTILINE)
# What differs with every run, and what stands for it in the comparison.
CHANGING = [
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "<time>"),
    (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "<uuid>"),
    (r"\b(whsec_|plr_)[\w+/=.-]+", r"\1<secret>"),
    (r"\b[0-9a-f]{64}\b", "<digest>"),
    (r"\b[0-9a-f]{32}\b", "<id>"),
    (r"\b[0-9a-f]{16}\b", "<id>"),
    (r"\b[0-9a-f]{12}-\d+\b", "<request>"),
    (r"sha256:[\w+/:=]+", "sha256:<hash>"),
]


def pages():
    """The documents, by their paths from the top."""
    top = sorted(ROOT.glob("*.md"))
    return [path.relative_to(ROOT) for path in top + sorted((ROOT / "docs").rglob("*.md"))]


def read(page):
    return (ROOT / page).read_text()


class Shell:
    """Runs the commands of one page, in order, in one bash.

    The page starts in an empty folder that has links to examples/, ops/ and packaging/. `plugin-registry` is the
    binary under test. A command that ends in ` &` stays in the background; its standard output is compared when it
    has as many lines as the page shows, and its standard error goes to a file. The end of the page ends everything.
    A block that has a file name after its language is saved under that name.
    """

    END = "<<end of output>>"

    def __init__(self, binary):
        self.folder = tempfile.TemporaryDirectory()
        home = Path(self.folder.name)
        (home / ".bin").mkdir()
        (home / ".bin/plugin-registry").symlink_to(binary)
        for name in BESIDE_COMMANDS:
            (home / name).symlink_to(ROOT / name)
        environment = {"PATH": f"{home}/.bin:{os.environ['PATH']}", "HOME": str(home), "LC_ALL": "C.UTF-8", "TZ": "UTC"}
        self.bash = subprocess.Popen(
            ["bash", "--norc", "--noprofile"],
            cwd=home, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def save(self, name, text):
        Path(self.folder.name, name).write_text(text)

    def run(self, command, expected):
        if command.endswith(" &"):
            return self.run_in_background(command, len(expected.splitlines()))
        return self.type(command)

    def run_in_background(self, command, lines):
        output = Path(self.folder.name, ".background")
        output.write_text("")
        redirection = "" if " > " in command else f"> {output}"
        self.type(f"{command.removesuffix('&')} {redirection} 2>> .background.log &")
        deadline = time.monotonic() + PATIENCE
        while len(output.read_text().splitlines()) < lines and time.monotonic() < deadline:
            time.sleep(0.05)
        return output.read_text().strip()

    def type(self, command):
        self.bash.stdin.write(f"{command}\necho; echo '{self.END}'\n".encode())
        self.bash.stdin.flush()
        output, deadline = b"", time.monotonic() + PATIENCE
        while not output.endswith(f"{self.END}\n".encode()):
            readable, _, _ = select.select([self.bash.stdout], [], [], max(0, deadline - time.monotonic()))
            chunk = os.read(self.bash.stdout.fileno(), 65536) if readable else b""
            if not chunk:
                return output.decode(errors="replace") + "\n(the command did not end)"
            output += chunk
        return output.decode(errors="replace").removesuffix(f"{self.END}\n").strip()

    def end(self):
        """Ends all processes of the page, so that the next one finds its port free."""
        for sign, patience in [(signal.SIGTERM, 20), (signal.SIGKILL, 5)]:
            deadline = time.monotonic() + patience
            try:
                os.killpg(self.bash.pid, signal.SIGCONT)
                os.killpg(self.bash.pid, sign)
                self.bash.stdin.close()
                while time.monotonic() < deadline:
                    self.bash.poll()
                    os.killpg(self.bash.pid, 0)
                    time.sleep(0.05)
            except (ProcessLookupError, BrokenPipeError):
                break
        self.folder.cleanup()


def is_whole(command):
    """Whether a command ends here: no quote is open, and no line ends in a backslash."""
    try:
        shlex.split(command, comments=True)
    except ValueError:
        return False
    return True


def examples(block):
    """The commands of a console block, each with what it prints."""
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        lines = part.splitlines()
        length = 1
        while length < len(lines) and not is_whole("\n".join(lines[:length])):
            length += 1
        yield "\n".join(lines[:length]), "\n".join(lines[length:]).strip()


def masked(text):
    for pattern, replacement in CHANGING:
        text = re.sub(pattern, replacement, text)
    return text


def run_commands(page, binary, write):
    """Runs the commands of a page; yields what differs, or writes it into the page."""
    text = read(page)
    blocks = list(FENCE.finditer(text))
    if not any(block["language"] == "console" for block in blocks):
        return
    shell = Shell(binary)
    try:
        for block in blocks:
            if block["file"]:
                shell.save(block["file"], block["text"])
            if block["language"] != "console":
                continue
            new = ""
            for command, expected in examples(block["text"]):
                printed = shell.run(command, expected)
                same = masked(printed) == masked(expected)
                if not same and not write:
                    yield f"{page}:\n$ {command}\nthe page says:\n{expected}\nit prints:\n{printed}\n"
                shown = expected if same else printed
                new += f"$ {command}\n" + (f"{shown}\n" if shown else "")
            text = text.replace(block[0], f"```console\n{new}```") if write else text
    finally:
        shell.end()
    if write:
        (ROOT / page).write_text(text)


def without_code(text):
    return FENCE.sub("", text)


def anchors(page):
    """The anchors of a page's headings, as GitHub and mdBook make them."""
    found, counts = set(), {}
    for heading in re.findall(r"^#+ +(.*)$", without_code(read(page)), re.MULTILINE):
        plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
        slug = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        number = counts.get(slug, 0)
        counts[slug] = number + 1
        found.add(f"{slug}-{number}" if number else slug)
    return found


def wrong_links(page):
    text = re.sub(r"`[^`\n]*`", "", without_code(read(page)))
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (ROOT / page).parent / path if path else ROOT / page
        if not target.exists():
            yield f"{page}: the link {link} leads nowhere"
        elif anchor and anchor not in anchors(target.resolve().relative_to(ROOT)):
            yield f"{page}: the link {link} names a heading that is not there"


def wrong_sizes(page):
    name, text = str(page), read(page)
    if name in LINES and len(text.splitlines()) > LINES[name]:
        yield f"{page}: {len(text.splitlines())} lines, at most {LINES[name]} are allowed"
    if name in WIDTHS:
        # Tables, and what commands print, are as wide as they are.
        lines = [line for line in text.splitlines() if not line.startswith("|")]
        blocks = [block["text"] for block in FENCE.finditer(text) if block["language"] == "console"]
        printed = {line for block in blocks for _, output in examples(block) for line in output.splitlines()}
        for line in lines:
            if len(line) > WIDTHS[name] and line not in printed:
                yield f"{page}: a line of {len(line)} characters, at most {WIDTHS[name]} are allowed: {line[:60]}…"


def sentences(text):
    """The sentences of a page's prose: paragraphs and list items, without code, tables and headings."""
    text = re.sub(r"<!--.*?-->", "", without_code(text), flags=re.DOTALL)
    text = re.sub(r"^(#|\|).*$", "", text, flags=re.MULTILINE)
    text = re.sub(r"^ *([-*]|\d+\.) ", "\n\n", text, flags=re.MULTILINE)
    text = re.sub(r"`[^`]*`", "code", text)
    text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", text)
    for paragraph in re.split(r"\n\s*\n", text):
        yield from re.split(r"(?<=[.!?:])[*_)\"]*\s+", " ".join(paragraph.split()))


def wrong_prose(page):
    text = re.sub(r"`[^`]*`", "", without_code(read(page)))
    for word in FORBIDDEN.findall(text):
        yield f"{page}: the word `{word}`"
    if page.name in GENERATED or page.name == "CHANGELOG.md":
        return
    for sentence in sentences(read(page)):
        words = len(re.findall(r"[\w'/%$.,-]*\w", sentence))
        if words > WORDS_OF_A_SENTENCE:
            yield f"{page}: a sentence of {words} words, at most {WORDS_OF_A_SENTENCE} are allowed: {sentence}"


def help_texts(binary, *command):
    """What `--help-all` prints, of the program and of all its commands."""
    text = subprocess.run([binary, *command, "--help-all"], check=True, capture_output=True, text=True).stdout
    yield text
    commands = re.search(r"^Commands:\n((?:  .*\n)+)", text, re.MULTILINE)
    for name in re.findall(r"^  ([\w-]+)", commands[1], re.MULTILINE) if commands else []:
        if name != "help":
            yield from help_texts(binary, *command, name)


def wrong_names(page, known):
    """Flags and variables of the registry that it does not know."""
    text = read(page)
    # Lines of commands that begin with the registry, and what stands between backticks in the prose.
    commands = [block["text"].replace("\\\n", " ") for block in FENCE.finditer(text) if block["language"] in ("sh", "console")]
    lines = [line for block in commands for line in block.splitlines() if re.match(r"(\$ )?plugin-registry ", line)]
    lines += re.findall(r"`([^`\n]*)`", without_code(text))
    flags = {flag for line in lines for flag in FLAG.findall(line) if not re.match(r"(\w+=\S+ )*(docker|cargo|src/|tests/)", line)}
    for name in sorted((flags - FOREIGN_FLAGS | set(VARIABLE.findall(text))) - known):
        yield f"{page}: `--help-all` of no command names `{name}`"


def tracked_files():
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    return [path for path in map(Path, listed.stdout.splitlines()) if (ROOT / path).exists()]


def expanded(path):
    """The paths that `a/{b,c}/` stands for."""
    head, brace, rest = path.partition("{")
    if not brace:
        return [path]
    choices, _, tail = rest.partition("}")
    return [head + choice + tail for choice in choices.split(",")]


def wrong_map():
    """Paths, tests and names of the code that ARCHITECTURE.md has and the code has not, and the other way round."""
    page = "ARCHITECTURE.md"
    text = FENCE.sub("", read(page))
    files = tracked_files()
    folders = {str(folder) for file in files for folder in file.parents}
    known = folders | {str(file) for file in files} | {str(file.with_suffix("")) for file in files}
    sources = {file: read(file) for file in files if file.suffix == ".rs"}
    words = set(re.findall(r"[\w-]+", "\n".join(sources.values()))) | {part for path in known for part in Path(path).parts}

    def is_path(path):
        return any(os.path.normpath(os.path.join(start, path)) in known for start in PATHS_BEGIN_IN)

    def is_item(of, name):
        """Whether a function or a type whose name begins so is in a module, or in a file that has the type `of`."""
        end = "" if name.endswith("…") else r"\b"
        item = re.compile(r"\b(fn|struct|enum|trait|const|type) " + re.escape(name.rstrip("…")) + end)
        owner = re.compile(rf"\b(struct|enum|trait|impl|for) {re.escape(of)}\b")
        return any(
            item.search(source) and (file.stem == of or of in file.parent.parts or owner.search(source))
            for file, source in sources.items()
        )

    invariants = text.partition("\n## Invariants")[2].partition("\n## ")[0]
    tests = {name for row in invariants.splitlines() for name in re.findall(r"`([a-z_]+)`", row.rpartition(" | ")[2])}
    for name in sorted(tests):
        is_function = any(re.search(rf"\bfn {name}\b", source) for source in sources.values())
        if not is_function and not any(name == file.stem or name in file.parts for file in files):
            yield f"{page}: no file, folder or function is called `{name}`, which a row of the invariants names"
    module = ""
    for name in re.findall(r"`([^`\n]+)`", text):
        name = name.split(" ")[0] if name.startswith("./") else name
        if " " in name or name.startswith(("/", "#")):
            continue
        if "::" in name:
            module, _, item = name.rpartition("::")
            module = module.rpartition("::")[2]
            found = is_item(module, item)
        elif name.startswith("…"):
            found = is_item(module, name.removeprefix("…"))
        elif "/" in name and not re.search(r"[A-Z]\w*/[A-Z]", name):
            found = all(is_path(path) for path in expanded(name))
        else:
            found = name in words or is_path(name) or any(file.name == name for file in files)
        if not found:
            yield f"{page}: the code has no `{name}`"
    named = {os.path.normpath(os.path.join(start, path)) for path in paths_of(text) for start in PATHS_BEGIN_IN}
    above = {str(folder) for path in named for folder in Path(path).parents}
    for folder in sorted(folders - {"."}):
        parent, name = os.path.split(folder)
        if (parent or ".") in MAPPED and name not in UNMAPPED and not name.startswith(".") and folder not in named | above:
            yield f"{page}: no map names {folder}/"


def wrong_paths(page, files):
    """Paths of the repository that a page names, and that lead nowhere."""
    known = {str(place) for file in files for place in [file, *file.parents]}
    top = {file.parts[0] for file in files if len(file.parts) > 1}
    # What a decision rejects need not be there.
    text = re.sub(r"\*\*Rejected.*", "", without_code(read(page)))
    for path in paths_of(text):
        if path.split("/")[0] in top and not re.search("[A-Z*<…]", path) and path.rstrip("/") not in known:
            yield f"{page}: there is no `{path}`"


def paths_of(text):
    """The paths that a page has between backticks."""
    names = re.findall(r"`([^`\s]+)`", text)
    return [path for name in names if "/" in name for path in expanded(name)]


def unlisted_pages():
    summary = read("docs/SUMMARY.md")
    for page in (ROOT / "docs").rglob("*.md"):
        name = str(page.relative_to(ROOT / "docs"))
        if name != "SUMMARY.md" and f"({name})" not in summary:
            yield f"docs/SUMMARY.md: does not list {name}"


def refuse_a_taken_port():
    """The pages use the default port: a registry that runs there already would answer for them."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", PORT))
        except OSError:
            sys.exit(f"port {PORT} on 127.0.0.1 is in use; stop the other process, then try again")


def main():
    arguments = [argument for argument in sys.argv[1:] if argument != "--write"]
    write = "--write" in sys.argv
    if not arguments:
        sys.exit(__doc__)
    binary, chosen = Path(arguments[0]).resolve(), [Path(argument) for argument in arguments[1:]]
    refuse_a_taken_port()
    helped = "\n".join(help_texts(binary))
    known = {*FLAG.findall(helped), *VARIABLE.findall(helped), *CLIENT_VARIABLES}
    wrong = [*unlisted_pages(), *wrong_map()]
    files = tracked_files()
    for page in pages():
        wrong += [*wrong_paths(page, files), *wrong_links(page), *wrong_sizes(page), *wrong_prose(page), *wrong_names(page, known)]
    for page in chosen or pages():
        began = time.monotonic()
        found = list(run_commands(page, binary, write))
        if found or time.monotonic() - began > 1:
            print(f"{page}: {time.monotonic() - began:.0f} s, {len(found)} wrong", flush=True)
        wrong += found
    print(*wrong, sep="\n")
    print(f"documents: {len(wrong)} wrong")
    sys.exit(1 if wrong else 0)


main()
