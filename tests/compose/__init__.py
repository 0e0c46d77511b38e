"""Tests of `compose`: its files, read by the programs that are to read them.

The stack of containers

- `reading`    the Compose files as Docker reads them: `extends`, several files, variables
- `checking`   what is wrong with a stack in the eyes of whoever has to defend it (pure)
- `stage`      a folder of secrets, and the stack standing, for the tests that ask for them
- `standing`   every service's own command as a plain process, with real servers standing in for the images
- `image`      the Dockerfile's steps, in a clean root file system

What watches it

- `promql`     which metrics, labels and values an expression asks for
- `exported`   which of them there are: those that our programs declare, and those that others really export
- `watchers`   Prometheus, Alertmanager and what they watch, as real programs

Kubernetes

- `kubernetes` the manifests as kubectl makes them, and who may reach whom by their policies
- `kubernetes_faults` mistakes that are planted in them
"""
