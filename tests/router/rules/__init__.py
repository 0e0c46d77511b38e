"""Tests of the router's pure rules."""
