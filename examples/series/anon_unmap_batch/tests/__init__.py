"""Tests of the series, and faults for them."""
