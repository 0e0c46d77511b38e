"""Tests of the embedded servers, on real servers."""
