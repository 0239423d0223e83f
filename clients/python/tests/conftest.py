"""The fixtures are those of the package's own pytest plugin."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# A busy machine is slow to make examples, and the same examples must come in every run.
settings.register_profile("here", deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("here")
