"""The mathematics of placement: properties that hold for any fleet, and answers that can be checked by hand."""
