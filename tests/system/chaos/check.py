#!/usr/bin/env python3
"""Clock jumps, kills, pauses, a full disk, a greedy viewer and slow readers over three replicas on one PostgreSQL.

    tests/system/chaos/check.py BINARY [SECONDS] [SEED]        120 seconds by default

Afterwards all of this must hold:
- writes and strong reads are linearizable: each write has a revision of its own, revisions follow real time, and a strong
  read shows the newest write at its revision;
- no lease that its holder renewed in time was lost;
- no process that was seen alive was forgotten, although its plugin no longer names it;
- every page of the history was whole, and a watcher that resumed saw each change once and in order.
"""

import random
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import load  # noqa: E402
from cluster import Cluster  # noqa: E402
from load import KEYS, TTL, Client, Seen, Write  # noqa: E402

HOLDERS = 3
WRITERS = 4


def judge_writes(seen: Seen, history: dict[int, list[tuple[int, str]]]) -> list[str]:
    """`history` has the titles of each key, by revision."""
    wrong = []
    revisions = Counter(write.revision for write in seen.writes if write.revision and not write.is_read)
    wrong += [f"revision {revision} was given to {number} writes" for revision, number in revisions.items() if number > 1]
    for write in seen.writes:
        if write.revision is None:
            continue
        past = [title for revision, title in history[write.key] if revision <= write.revision]
        if not past or past[-1] != write.title:
            wrong.append(f"{write} is not what the history has: {past[-1:]}")
    for key in range(KEYS):
        known = sorted((write for write in seen.writes if write.key == key and write.revision), key=lambda write: write.begun)
        wrong += out_of_order(known)
    return wrong


def out_of_order(operations: list[Write]) -> list[str]:
    """An operation that began after another had ended must not have an older revision."""
    wrong, ended = [], sorted(operations, key=lambda operation: operation.ended)
    newest, at = 0, 0
    for operation in operations:
        while at < len(ended) and ended[at].ended < operation.begun:
            newest, at = max(newest, ended[at].revision), at + 1
        if operation.revision < newest:
            wrong.append(f"{operation} is older than revision {newest}, which was acknowledged before")
    return wrong


def judge_leases(seen: Seen, expired: set[str]) -> list[str]:
    return [
        f"lease {lease} was lost, though it was renewed every {longest(renewals):.1f} s or sooner"
        for lease, renewals in seen.renewals.items()
        if longest(renewals) < TTL - 5 and lease in expired
    ]


def longest(renewals: list[float]) -> float:
    """The longest time between two renewals."""
    return max((later - earlier for earlier, later in zip(renewals, renewals[1:], strict=False)), default=0)


def test_judge() -> None:
    """The judge finds what it is there for."""
    history = {key: [(2, "a"), (4, "b")] if key == 0 else [] for key in range(KEYS)}
    right = [Write(0, "a", 0, 1, 2), Write(0, "b", 2, 3, 4), Write(0, "b", 4, 5, 5, is_read=True)]
    assert not judge_writes(Seen(writes=right), history)
    for wrong in (
        Write(0, "a", 4, 5, 5, is_read=True),  # stale
        Write(0, "a", 4, 5, 3, is_read=True),  # as of a time before an acknowledged write
        Write(0, "c", 4, 5, 4),  # a revision that another write has
        Write(0, "c", 4, 5, 6),  # acknowledged and lost
    ):
        assert judge_writes(Seen(writes=[*right, wrong]), history), wrong
    often, seldom = Seen(renewals={"l": [1.0, 2.0]}), Seen(renewals={"l": [1.0, 100.0]})
    assert judge_leases(often, {"l"}) and not judge_leases(often, set()) and not judge_leases(seldom, {"l"})
    assert gaps([1, 2, 4]) and gaps([1, 2, 2]) and not gaps([1, 2, 3])


def events(client: Client) -> list[dict]:
    found, after = [], 0
    while True:
        items = client.must("GET", f"/events?after={after}&limit=1000")["items"]
        found += items
        if len(items) < 1000:
            return found
        after = revision_of(items[-1])


def revision_of(event: dict) -> int:
    return int(event["id"].rsplit("-", 1)[-1])


def judge(client: Client, seen: Seen) -> list[str]:
    wrong, all_events = list(seen.complaints), events(client)
    revisions = [revision_of(event) for event in all_events]
    if revisions != list(range(1, len(revisions) + 1)):
        wrong.append("the history has gaps")
    history: dict[int, list[tuple[int, str]]] = {key: [] for key in range(KEYS)}
    for event in all_events:
        subject = event.get("subject", "")
        if subject.startswith("chaos_key"):
            history[int(subject.removeprefix("chaos_key"))].append((revision_of(event), event["data"]["plugin"]["title"]))
    wrong += judge_writes(seen, history)
    kinds = Counter(event["type"].rsplit("plugin-registry.", 1)[-1] for event in all_events)
    print("events:", dict(kinds))
    for lease, renewals in seen.renewals.items():
        print(f"lease {lease}: {len(renewals)} renewals, {longest(renewals):.1f} s apart at most")
    wrong += judge_leases(seen, {event["subject"] for event in all_events if event["type"].endswith("lease.expired")})
    wrong += [f"the watcher missed or repeated changes: {missed}" for missed in gaps(seen.watched)]
    held = client.must("GET", "/resources?limit=1000")["items"]
    for number in range(HOLDERS):
        row = [row for row in held if row["kind"] == "process" and row["id"] == str(100 + number)]
        if not row or row[0]["claim"] != "left_behind":
            wrong.append(f"process {100 + number} was seen alive and is forgotten: {row}")
    return wrong


def gaps(watched: list[int]) -> list[tuple[int, int]]:
    return [(one, other) for one, other in zip(watched, watched[1:], strict=False) if other != one + 1][:5]


def run(binary: str, seconds: float, seed: int) -> list[str]:
    dice, seen, stop = random.Random(seed), Seen(), threading.Event()
    with tempfile.TemporaryDirectory() as folder:
        cluster = Cluster(binary, Path(folder))
        try:
            client = lambda: Client(cluster, random.Random(dice.getrandbits(64)))
            for key in range(KEYS):
                client().must("POST", "/plugins", load.plugin(f"key{key}"))
            for number in range(200):
                client().must("POST", "/plugins", load.plugin(f"large{number}", description="x" * 5_000))
            work = [(load.write, (client(), seen, stop, number)) for number in range(WRITERS)]
            work += [(load.hold, (client(), seen, stop, number)) for number in range(HOLDERS)]
            work += [(load.watch, (client(), seen, stop)), (load.page, (client(), seen, stop))]
            work += [(load.be_greedy, (client(), stop)), (load.read_slowly, (client(), stop))]
            threads = [threading.Thread(target=target, args=arguments, daemon=True) for target, arguments in work]
            for thread in threads:
                thread.start()
            until = time.monotonic() + seconds
            while time.monotonic() < until:
                print(f"{until - time.monotonic():6.1f} s left: {cluster.do_harm(dice)}", flush=True)
                time.sleep(dice.uniform(0.5, 3))
            for replica in cluster.replicas:
                replica.set_clock(0)
            stop.set()
            for thread in threads:
                thread.join(30)
            acknowledged = sum(1 for write in seen.writes if write.revision and not write.is_read)
            print(f"{acknowledged} writes acknowledged of {len(seen.writes)} operations; {len(seen.watched)} changes watched")
            wrong = judge(client(), seen)
            if acknowledged < seconds / 4:
                wrong.append("too few writes were acknowledged to show anything")
            wrong += [f"replica {one.number} stopped with {code}" for one in cluster.replicas if (code := one.stop())]
            return wrong
        finally:
            stop.set()
            cluster.close()


def main() -> None:
    binary, seconds = sys.argv[1], float((sys.argv + ["", "120"])[2] or 120) if len(sys.argv) > 2 else 120.0
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else random.randrange(1 << 32)
    test_judge()
    print(f"seed {seed}")
    wrong = run(binary, seconds, seed)
    for line in wrong[:20]:
        print("WRONG:", line)
    if wrong:
        sys.exit(f"{len(wrong)} things are wrong; again with: check.py {binary} {seconds:.0f} {seed}")
    print("all of it held")


if __name__ == "__main__":
    main()
