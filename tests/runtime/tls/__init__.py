"""Tests of `runtime/tls`: real handshakes, with files made by openssl."""
