"""Tests of `compose`: its files, read by the programs that are to read them.

- `promql`     which metrics, labels and values an expression asks for
- `exported`   which of them there are: those that our programs declare, and those that others really export
- `watchers`   Prometheus, Alertmanager and what they watch, as real programs
"""
