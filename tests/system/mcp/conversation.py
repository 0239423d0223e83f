"""A client of a server over stdio that keeps each byte of the answers."""

import json
import os
import subprocess

INITIALIZE = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}


class Conversation:
    """Starts a server, shakes hands with it, and asks one question after another."""

    def __init__(self, command, **environment):
        environment = os.environ | environment
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        self.server = subprocess.Popen(command, env=environment, **pipes)
        self.said = b""
        self.asked = 0
        self.ask("initialize", **INITIALIZE)
        self.tell("notifications/initialized")

    def tell(self, method, **message):
        # The letters of other languages go as they are, and not escaped.
        text = json.dumps({"jsonrpc": "2.0", "method": method, **message}, ensure_ascii=False)
        self.server.stdin.write(text.encode() + b"\n")
        self.server.stdin.flush()

    def ask(self, method, **params):
        """The result of a request. Every line before it must be a message, too."""
        self.asked += 1
        self.tell(method, id=self.asked, params=params)
        for line in self.server.stdout:
            message = json.loads(line)
            assert message["jsonrpc"] == "2.0", line
            if message.get("id") == self.asked and "method" not in message:
                self.said += line
                return message["result"]
        raise AssertionError(f"the server has ended: {self.server.stderr.read().decode()}")

    def call(self, tool, **arguments):
        """The result of a tool, and its text."""
        result = self.ask("tools/call", name=tool, arguments=arguments)
        return result, result["content"][0]["text"]

    def end(self):
        """Closes the input, and returns the exit code and what the server wrote to standard error."""
        self.server.stdin.close()
        rest = self.server.stdout.read()
        assert all(json.loads(line) for line in rest.splitlines()), rest
        error = self.server.stderr.read().decode()
        return self.server.wait(30), error
