#!/usr/bin/env python3
"""Starts what a systemd unit starts, as somebody without rights, waits for READY=1, asks it, and stops it.

    tests/packaging/as_unit.py UNIT STATE-FOLDER

There is no systemd where tests run: of the unit, its command, its environment and its user's rights are tried, not its
sandbox (`systemd-analyze` judges that).
"""

import configparser
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile


def main():
    unit, state = sys.argv[1:]
    parser = configparser.RawConfigParser(strict=False, delimiters="=", comment_prefixes="#")
    parser.optionxform = str
    parser.read(unit)
    service = parser["Service"]
    assert service["Type"] == "notify"
    os.makedirs(state, mode=0o700)
    os.chown(state, 65534, 65534)
    os.chmod(pathlib.Path(state).parent, 0o755)
    folder = tempfile.mkdtemp()
    os.chmod(folder, 0o777)
    told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    told.bind(f"{folder}/notify")
    os.chmod(f"{folder}/notify", 0o777)
    told.settimeout(20)
    name, value = service["Environment"].replace("/var/lib/plugin-registry", state).split("=", 1)
    environment = {name: value, "NOTIFY_SOCKET": f"{folder}/notify", "PLUGIN_REGISTRY_LISTEN": "127.0.0.1:18080"}
    process = subprocess.Popen(
        service["ExecStart"].split(), env=environment, cwd=state, user=65534, group=65534, extra_groups=[], umask=0o077
    )
    try:
        assert told.recv(100) == b"READY=1\n"
        subprocess.run(["/usr/bin/plugin-registry", "health"], env=environment, check=True)
        process.send_signal(signal.SIGTERM)
        assert told.recv(100) == b"STOPPING=1\n"
        assert process.wait(timeout=30) == 0
    finally:
        process.kill()
    print(f"{unit}: started, answered, stopped; its store is {[path.name for path in pathlib.Path(state).iterdir()]}")


if __name__ == "__main__":
    main()
