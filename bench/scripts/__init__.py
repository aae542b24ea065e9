"""Small programs that the suite runs in processes of their own; memory_files is shared by two of them."""
