"""Tests of `placement`."""
