"""Why a run cannot go on; the text is for people."""


class CannotMeasure(Exception):
    """Something is missing, did not start, or answers wrongly: no figure of this run would mean anything."""
