"""Tests of `cell`."""
