"""Histories of real and simulated runs: read, fitted and calibrated from."""
