"""Zips: which are allowed, how they are read strictly, and how a folder becomes one. Knows no bundle, key or store.

A room of its own, below io and device: what the device refuses to unpack must be refused before it is sealed,
so both sides run the same check. names, directory, local_headers and check are pure over a function that
reads bytes at an offset; listing and folder_zip read the publisher's disk.
"""
