"""What one replica has acknowledged, the official Python SDK finds at the other: `replicas.py VERSION PORT PORT`."""

import asyncio
import sys

from client import ask, connect
from mcp import Client
from registries import send


async def alternate(version, *ports):
    """Registers at one replica and asks the other, in turn."""
    urls = [f"http://127.0.0.1:{port}/mcp" for port in ports]
    async with Client(connect(urls[0], None), mode=version) as one, Client(connect(urls[1], None), mode=version) as other:
        clients = [one, other]
        for number in range(20):
            pid = 3_800_000 + number
            mine, theirs = number % 2, 1 - number % 2
            name = f"over-http-{version}"
            await ask(clients[mine], "register_process", category="mcp", name=name, pid=pid, host="h")
            # After a read that asks the database, the replica has all that was acknowledged before.
            send(ports[theirs], "GET", "/plugins?limit=1&consistency=strong")
            found = await ask(clients[theirs], "whois", pid=pid)
            assert found["held"], (version, number, found)


asyncio.run(alternate(sys.argv[1], *map(int, sys.argv[2:])))
