"""Tests of `directory`."""
