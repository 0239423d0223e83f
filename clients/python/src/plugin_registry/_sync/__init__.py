"""The synchronous client. tools/unasync.py makes its files, but ``aio.py``, from those of ``_async``."""
