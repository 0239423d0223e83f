"""A capability of upstream's runtime whose worker starts a process of its own, as one that serves a model does."""

import subprocess
import sys

from cjm_substrate.core.capability import ToolCapability

SCHEMA = {"type": "object", "properties": {"seconds": {"type": "integer", "default": 600}}}


class Sleeper(ToolCapability):
    """Sleeps."""

    name = "sleeper"
    version = "1.0.0"

    def initialize(self, config=None):
        self.config = config or {}
        # In a session of its own, so that it outlives the worker's process group.
        self.process = subprocess.Popen(
            [sys.executable, "-c", f"import time; time.sleep({self.config['seconds']})"], start_new_session=True
        )

    def get_config_schema(self):
        return SCHEMA

    def get_current_config(self):
        return self.config

    def execute(self):
        return self.process.pid
