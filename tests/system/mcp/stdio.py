"""`plugin-registry mcp`: the tools over standard input and output."""

import subprocess

from conversation import Conversation
from ports import free_port
from registries import fill, send


def check_one_that_was_away(binary, registries, alive):
    """A registry that is away makes a tool fail, and nothing else; one that is back is asked again."""
    port = free_port()
    client = Conversation([binary, "mcp", "--server", f"http://127.0.0.1:{port}"])
    assert len(client.ask("tools/list")["tools"]) == 8
    for tool, arguments in [("whois", {"pid": 1}), ("costs", {}), ("recent_changes", {})]:
        result, words = client.call(tool, **arguments)
        assert result["isError"] and f"127.0.0.1:{port}" in words and "--server" in words, words
    registries.serve(port)
    fill(port, alive)
    result, words = client.call("whois", pid=alive)
    assert not result["isError"] and "mcp_worker" in words, words
    assert client.end() == (0, ""), "it ends with its client"


def check_without_a_token(binary, port):
    """A registry that wants a token makes a tool fail, with what mends it."""
    client = Conversation([binary, "mcp", "--server", f"http://127.0.0.1:{port}"])
    result, words = client.call("list_held")
    assert result["isError"] and "--token-file" in words and "plugin-registry login" in words, words
    assert client.end() == (0, "")


def check_a_context(binary, port, token, folder):
    """The server and the token of the current context, as every other command takes them."""
    environment = {"HOME": str(folder), "XDG_CONFIG_HOME": str(folder / "config")}
    login = [binary, "login", f"http://127.0.0.1:{port}"]
    subprocess.run(login, input=token, text=True, check=True, capture_output=True, env=environment)
    client = Conversation([binary, "mcp"], **environment)
    result, words = client.call("list_held")
    assert not result["isError"], words
    assert client.end() == (0, "")


def check_strangers(binary):
    """What is no client of the protocol gets no protocol, and the cause on standard error."""
    nothing = subprocess.run([binary, "mcp"], input=b"", capture_output=True, timeout=30, check=False)
    assert (nothing.returncode, nothing.stdout, nothing.stderr) == (0, b"", b""), nothing
    wrong = subprocess.run([binary, "mcp", "--server", "nowhere"], input=b"", capture_output=True, timeout=30, check=False)
    assert wrong.returncode == 1 and wrong.stdout == b"" and b"nowhere" in wrong.stderr, wrong


def check_replicas(binary, first, second):
    """What one replica has acknowledged, a client of the other finds."""
    servers = [f"http://127.0.0.1:{port}" for port in (first, second)]
    one, other = (Conversation([binary, "mcp", "--server", server]) for server in servers)
    for number in range(20):
        pid = 3_900_000 + number
        result, words = one.call("register_process", category="mcp", name="shared", pid=pid, host="h")
        assert not result["isError"], words
        # After a read that asks the database, the replica has all that was acknowledged before.
        send(second, "GET", "/plugins/mcp_shared?consistency=strong")
        result, words = other.call("whois", pid=pid)
        assert result["structuredContent"]["held"], words
        one, other, first, second = other, one, second, first
    for client in (one, other):
        assert client.end() == (0, "")
