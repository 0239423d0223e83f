"""`watch` on a terminal."""

import os

from terminal import Terminal


def check(binary, home, registry):
    environment = os.environ | {"HOME": str(home), "TERM": "xterm", "PLUGIN_REGISTRY_SERVER": f"http://127.0.0.1:{registry.port}"}
    terminal = Terminal([binary, "watch", "--since", "0"], environment)
    terminal.shows("plugin.registered  c_worker")
    registry.register("second")
    terminal.shows("plugin.registered  c_second")
    registry.stop()
    terminal.shows("the connection is lost")
    registry.start()
    registry.register("third")
    between = terminal.shows("plugin.registered  c_third")
    assert "c_worker" not in between and "c_second" not in between, "it begins again where it was"
    code = terminal.end("\x03")
    assert code in (130, -2), code
    print("  `watch` goes on where it was, and ends with Ctrl-C", flush=True)
