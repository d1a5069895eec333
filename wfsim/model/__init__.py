"""Values: what a resource, a flow, a run and a log are.  Nothing here does anything."""
