"""Pictures and pages as text, without a library and without a script.

- `markup`   elements of HTML and SVG; whatever is not markup is escaped
- `scales`   where a value stands between two others, linear or logarithmic, and which values to write at an axis
- `shapes`   values over time as the data of SVG paths: lines and areas with gaps, bars

Everything is pure.
"""
