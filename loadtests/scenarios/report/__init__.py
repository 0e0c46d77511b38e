"""What a scenario found, for people: pages of HTML with pictures, made of a run's JSON and nothing else.

Read in this order:

    run         a run's JSON as values: goals, faults, series; whether a goal was met
    words       figures, times and goals as people say them
    picture     latency and requests by cell over time, faults as bands, as inline SVG
    tables      goals, figures by cell before, during and after the faults, what was asked
    document    the frame of a page: `style.css` within, light, dark, on paper; no script, nothing from elsewhere
    one         a run's own page, with everything that is known of it
    page        all scenarios on one page, to be read in five minutes

All is pure but `one.write` and `page.write`, which write a file.
"""
