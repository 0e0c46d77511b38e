"""Tests of `compose`: its files, read by the programs that are to read them."""
