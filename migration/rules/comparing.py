"""Whether rows of one schema fit into another."""

from migration.rules.tables import Schema


def obstacles(source: Schema, destination: Schema) -> list[str]:
    """What is in the way, each with what to do. None: they fit."""
    return [
        f"{relation} is not among the tenants' tables of the destination: bring both to one version"
        for relation in source.tables
        if relation not in destination.tables
    ]
