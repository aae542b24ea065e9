"""What every command uses: arguments, parsing, exit codes, messages, progress."""
