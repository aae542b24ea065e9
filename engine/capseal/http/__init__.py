"""What server and client share, written once."""
