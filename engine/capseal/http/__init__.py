"""What server and client share, written once: paths, JSON shapes, problem types, limits, token."""
