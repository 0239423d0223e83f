"""`plugin-registry exec -- SERVER`: servers of others under `exec` answer each byte as without it."""

from conversation import Conversation
from registries import send

# Characters of one to four bytes, some of which terminals and shells take for their own.
TEXT = "plain, tab\t, Grüße, 日本語, 🚀, \u001b[31mred, $HOME `id` \\ ' \""


def check(binary, port, name, server, tool, arguments):
    """Holds one conversation with the server itself, and the same one under `exec`; both must be the same."""
    wrapped = [binary, "exec", "--server", f"http://127.0.0.1:{port}", "--category", "mcp", "--name", name, "--"]
    said, ends = [], []
    for command in (server, wrapped + server):
        client = Conversation(command)
        client.ask("tools/list")
        client.call(tool, **arguments)
        if command is not server:
            held = send(port, "GET", f"/resources?plugin=mcp_{name}")["items"]
            assert held and all(item["kind"] == "process" for item in held), held
        ends.append(client.end())
        said.append(client.said)
    assert said[0] == said[1], said
    assert ends[0] == ends[1], ends
    assert not send(port, "GET", f"/resources?plugin=mcp_{name}")["items"], "its end is recorded"
    print(f"  {name} under `exec`: {len(said[0])} bytes of answers, unchanged", flush=True)
