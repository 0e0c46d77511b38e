"""Tests of `migration`."""
