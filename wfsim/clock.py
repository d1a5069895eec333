"""Clocks: which one a simulation is given is whether its time is virtual or real."""

from wfsim.sim.clock import VirtualClock, WallClock

__all__ = ["VirtualClock", "WallClock"]
