"""A file for each group of commands; `options` is what they share.

Commands ask placement over HTTP, print a table or JSON, and leave failures to `console.app`.
"""
