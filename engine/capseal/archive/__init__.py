"""Zips: which are allowed, how they are read strictly, and how a folder becomes one. Knows no bundle, key or store.

A room of its own, between io and both bundle and device: what a device refuses to unpack must be refused before
it is sealed, so both sides run the same check. names, directory, local_headers and check are pure over a function
that reads bytes at an offset; folder_zip and content read the publisher's disk.
"""
