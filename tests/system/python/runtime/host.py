"""A host of upstream's runtime: it loads the capability, prints what it runs, and unloads it once its input ends.

host.py URL FOLDER [clean_up]
"""

import sys
from pathlib import Path

from cjm_substrate.core.manager import CapabilityManager

from plugin_registry import Registry
from plugin_registry.upstream import ConfigStore, JournalMirror


def main():
    # Upstream reads configurations while it loads a capability: a registry that is away delays it by one repeat.
    registry = Registry(sys.argv[1], retries=1)
    journal = JournalMirror(registry, ttl=5, clean_up="clean_up" in sys.argv)
    manager = CapabilityManager(
        search_paths=[Path(sys.argv[2])], journal_store=journal, config_store=ConfigStore(registry)
    )
    [found] = manager.discover_manifests()
    if not manager.load_capability(found):
        sys.exit("the capability is not loaded")
    worker = manager.get_instance("sleeper").proxy
    print(worker.process.pid, worker.execute(), flush=True)
    sys.stdin.read()
    manager.unload_all()
    journal.close(timeout=5)


main()
