"""What `cellway router top` shows: all routers that run, as one picture, again and again.

In reading order:

- `document`  what one router says of itself (`/top` on its admin port), as values
- `rates`     two looks at the routers become one frame: rates, and what needs attention. Pure
- `display`   a frame as people see it, 80 columns wide and as high as the terminal. Pure
- `fleet`     finds the routers in the registry, and asks all of them at once
- `watch`     looks and draws, once or until Ctrl-C
"""
