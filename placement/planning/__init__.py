"""Plans become moves: made from what is known of the whole fleet, approved, carried out wave by wave.

In reading order:

- `wishes`      what a plan is asked to reach, and at which pace
- `solving`     a fleet → the moves, their waves and what they promise; in a process of its own that can be killed
- `making`      gathers the fleet, has it solved within a deadline
- `conducting`  one step of the leader's loop: watch, begin, plan the next wave, end
- `draining`    cells that drain get a plan by themselves, and are empty in the end; how far that is
- `automatic`   plans that approve of themselves, within budgets and outside quiet hours

Whatever is known of a plan is in the directory (`directory.plans`), so each step can be the last one: whoever
leads next goes on. Each decision carries the term, and is refused when another one leads by then. Rules about
budgets are in `placement.rules.pacing`.
"""
