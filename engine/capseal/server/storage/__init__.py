"""Objects by name in a folder or a bucket, and what their names and contents mean."""
