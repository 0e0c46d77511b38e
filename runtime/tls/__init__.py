"""Mutual TLS 1.3 between the programs of one fleet: each proves who it is, and neither speaks to a stranger.

- `credentials`  a folder with `ca.pem`, `cert.pem` and `key.pem`: loaded, tried, taken up anew when it changes
- `serving`      the side that is called: it demands a certificate of the fleet's authority
- `calling`      the side that calls: it checks the authority, and the name of whom it calls
- `saying`       what a handshake that failed means, as a sentence that says what to do (pure)

Connections that are open keep what they began with; new ones use the files as they are then. Nothing here ever
does without checking whom it speaks to.
"""
