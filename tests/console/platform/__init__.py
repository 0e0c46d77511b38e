"""Tests of the supervisor: real servers, and small stand-ins for our programs."""
