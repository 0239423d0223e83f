#!/usr/bin/env python3
"""Does what README.md says, line by line, and compares what comes out with what it says comes out.

Starts the binary that is named on the command line on the README's own address, with a new store.
Ids that are made anew every time are left out of the comparison.
"""

import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ADDRESS = "http://127.0.0.1:8080"
# How long a stream is read that has no end, in seconds.
STREAM = 3


def examples(text):
    """Every command of the console blocks, with what it prints."""
    for block in re.findall(r"^```console\n(.*?)^```", text, re.S | re.M):
        for part in re.split(r"^\$ ", block, flags=re.M)[1:]:
            command, _, output = part.partition("\n")
            yield command, output.strip()


def masked(text):
    text = re.sub(r"[0-9a-f]{32}", "<store>", text)
    return re.sub(r'"request_id":"[0-9a-f]{12}-\d+"', '"request_id":"<id>"', text)


def run(command):
    try:
        done = subprocess.run(command, shell=True, cwd=ROOT, capture_output=True, text=True, timeout=STREAM)
        return done.stdout.strip()
    except subprocess.TimeoutExpired as stopped:
        return (stopped.stdout or b"").decode().strip()


def wait_until_it_answers():
    for _ in range(100):
        try:
            return urllib.request.urlopen(ADDRESS + "/readyz", timeout=1).close()
        except OSError:
            time.sleep(0.1)
    sys.exit("the service does not answer")


def main():
    binary = Path(sys.argv[1]).resolve()
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        server = subprocess.Popen([binary, "--probe-own-host=false"], cwd=folder, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        try:
            wait_until_it_answers()
            for command, told in examples((ROOT / "README.md").read_text()):
                printed = run(command)
                if masked(printed) != masked(told):
                    wrong += 1
                    print(f"$ {command}\nREADME.md says:\n{told}\nit prints:\n{printed}\n")
        finally:
            server.send_signal(signal.SIGTERM)
            code = server.wait(timeout=20)
    print(f"README.md: {wrong} wrong")
    sys.exit(1 if wrong or code else 0)


main()
