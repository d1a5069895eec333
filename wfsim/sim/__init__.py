"""Adapters: the engine on a SimPy clock, over in-memory stores, with faults."""
