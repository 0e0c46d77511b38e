"""SQL kept in files: one query a file, its name the file's, its first line why it exists."""

from importlib.resources import files


class Queries:
    """The `.sql` files of `package`'s folder `folder`, read once: `Queries("cell")["insert_account"]`."""

    def __init__(self, package: str, folder: str = "sql") -> None:
        self._place = f"{package}/{folder}"
        entries = files(package).joinpath(folder).iterdir()
        self._texts = {
            entry.name.removesuffix(".sql"): entry.read_text(encoding="utf-8")
            for entry in entries
            if entry.name.endswith(".sql")
        }

    def __repr__(self) -> str:
        return f"<Queries {self._place}: {len(self._texts)}>"

    def __getitem__(self, name: str) -> str:
        try:
            return self._texts[name]
        except KeyError:
            raise KeyError(f"no query {name}.sql in {self._place}") from None
