"""The asynchronous client; tools/unasync.py makes the synchronous one of ``_sync`` from it."""
