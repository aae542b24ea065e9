"""A project on a developer's machine: its configuration, keys, releases and their log."""
