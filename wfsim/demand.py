"""Demand: arrivals, requests and triggers over time, and the rates of faults."""

from wfsim.sim.demand import Arrivals, FlowRequest, Trigger
from wfsim.sim.fault_wrappers import ApiRate
from wfsim.sim.rates import Rate
from wfsim.sim.step_settings import StepSettings
from wfsim.sim.times import Shifts, Times

__all__ = [
    "ApiRate", "Arrivals", "FlowRequest", "Rate", "Shifts", "StepSettings", "Times",
    "Trigger",
]  # fmt: skip
