"""Replay: what was durable at any moment of a log, and where two logs part (`diff`)."""

from wfsim.report.replay import Difference, frames, state_at
from wfsim.report.replay import diff as diff

__all__ = ["Difference", "frames", "state_at"]
