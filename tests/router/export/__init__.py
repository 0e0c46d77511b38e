"""A real HAProxy, told by our table."""
