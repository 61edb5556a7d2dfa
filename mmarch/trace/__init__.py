"""Recordings of real programs: made with ftrace, read into operations."""
