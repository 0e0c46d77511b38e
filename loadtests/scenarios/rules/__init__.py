"""What a scenario decides by itself: pure code over arrays.

- `arrivals`  when each request is due, whose it is, and what it asks: drawn before anything is sent
- `samples`   what came of each request
- `run`       all that is known of a run, and the figures that goals ask for
- `goals`     a figure, a bound, a sense: reached or missed
- `telling`   the JSON of a run
"""
