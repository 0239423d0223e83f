"""A program on a terminal."""

import os
import pty
import select
import sys
import time

# How long a program may take for one step, in seconds.
PATIENCE = 30


class Terminal:
    """Types keys, and waits for what is shown."""

    def __init__(self, command, environment):
        self.pid, self.screen = pty.fork()
        if self.pid == 0:
            os.execvpe(command[0], command, environment)
        self.seen = ""

    def types(self, keys):
        os.write(self.screen, keys.encode())

    def shows(self, text):
        """Waits for a text, and returns what came before it."""
        until = time.monotonic() + PATIENCE
        while text not in self.seen:
            ready, _, _ = select.select([self.screen], [], [], max(0, until - time.monotonic()))
            if not ready:
                sys.exit(f"`{text}` has not come:\n{self.seen}")
            try:
                self.seen += os.read(self.screen, 65536).decode(errors="replace")
            except OSError:
                sys.exit(f"the program has ended without `{text}`:\n{self.seen}")
        before, _, self.seen = self.seen.partition(text)
        return before

    def end(self, keys="\x15exit\n"):
        """Types the last keys, and returns the exit code."""
        self.types(keys)
        try:
            while os.read(self.screen, 65536):
                pass
        except OSError:
            pass
        _, status = os.waitpid(self.pid, 0)
        os.close(self.screen)
        return os.waitstatus_to_exitcode(status)
