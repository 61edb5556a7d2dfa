"""Sweeps: every point of a grid of workloads and configurations counted once, into a store that nothing damages."""
