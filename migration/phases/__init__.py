"""What is done in each phase of a move: before its switch, in it, after it, and when it is given up.

Each phase is a function of the `Claim` that carries the move. It returns when the next phase is recorded; or for
how many seconds nothing is to be done about the move.
"""
