"""Three replicas on one PostgreSQL whose disk may fill, each with a wall clock that can be set."""

import contextlib
import os
import random
import re
import signal
import struct
import subprocess
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
POSTGRES = HERE.parent / "postgres"
# Enough for the load of twenty minutes, and little for the machine, since a full disk is memory.
DISK_MIB = 768
LOG_MIB = 128


class Replica:
    def __init__(self, binary: str, number: int, url: str, folder: Path, shim: Path) -> None:
        self.binary, self.number, self.url, self.shim = binary, number, url, shim
        self.clock, self.log = folder / f"clock-{number}", folder / f"log-{number}"
        self.port = 0
        self.set_clock(0)
        self.start()

    def set_clock(self, seconds: int) -> None:
        # In place: the process has mapped the file.
        with open(self.clock, "r+b" if self.clock.exists() else "wb") as file:
            file.write(struct.pack("=q", seconds))

    def start(self) -> None:
        command = [self.binary, "serve", "--listen", f"127.0.0.1:{self.port}", "--store", f"{self.url}/postgres?sslmode=disable"]
        environment = {"LD_PRELOAD": str(self.shim), "CHAOS_CLOCK": str(self.clock), "PATH": "/usr/bin:/bin"}
        with open(self.log, "a") as log:
            flags = ["--probe-own-host", "false", "--log-level", "warn", "--max-memory", "0"]
            self.process = subprocess.Popen(command + flags, env=environment, stdout=subprocess.PIPE, stderr=log, text=True)
        found = re.search(r":(\d+)\s*$", self.process.stdout.readline())
        if not found:
            raise RuntimeError(f"replica {self.number} does not start: {self.log.read_text()[-2_000:]}")
        self.port = int(found.group(1))

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(30)


class Cluster:
    def __init__(self, binary: str, folder: Path) -> None:
        self.folder = folder
        shim = folder / "clock.so"
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", shim, HERE / "clock.c"], check=True)
        self.disk = folder / "disk"
        self.disk.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "tmpfs", self.disk]
        self.is_mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
        self.home = self.disk / "postgres"
        self.home.mkdir()
        folder.chmod(0o755)
        self.disk.chmod(0o755)
        started = subprocess.run([POSTGRES, "start", self.home], stdout=subprocess.PIPE, text=True, check=True)
        with open(self.home / "data" / "postgresql.conf", "a") as settings:
            settings.write(f"max_wal_size = {LOG_MIB}MB\n")
        postmaster = int((self.home / "data" / "postmaster.pid").read_text().split()[0])
        os.kill(postmaster, signal.SIGHUP)
        self.replicas = [Replica(binary, number, started.stdout.strip(), folder, shim) for number in range(3)]

    def close(self) -> None:
        for replica in self.replicas:
            replica.kill()
        subprocess.run([POSTGRES, "stop", self.home], check=False)
        if self.is_mounted:
            subprocess.run(["umount", "-l", self.disk], check=False)

    def do_harm(self, dice: random.Random) -> str:
        """Does one thing that happens to machines, and mends it."""
        replica = dice.choice(self.replicas)
        kinds = ["clock", "clock", "kill", "pause"] + (["disk"] if self.is_mounted else [])
        match dice.choice(kinds):
            case "clock":
                seconds = dice.choice([0, 0, 8, -180, 180, -3_600, 3_600, 366 * 86_400])
                replica.set_clock(seconds)
                return f"the clock of replica {replica.number} is {seconds} s ahead"
            case "kill":
                replica.kill()
                time.sleep(dice.uniform(0, 1))
                replica.start()
                return f"replica {replica.number} was killed and started"
            case "pause":
                replica.process.send_signal(signal.SIGSTOP)
                time.sleep(dice.uniform(0.5, 3))
                replica.process.send_signal(signal.SIGCONT)
                return f"replica {replica.number} was paused"
            case _:
                return self.fill_disk(dice)

    def fill_disk(self, dice: random.Random) -> str:
        ballast = self.disk / "ballast"
        # The database takes blocks meanwhile, so what was free a moment ago need not fit any more.
        with open(ballast, "wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(1 << 20))
        time.sleep(dice.uniform(0.5, 2))
        ballast.unlink()
        return "the disk of the database was full"
