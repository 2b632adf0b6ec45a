"""What an operator or a contributor types: `python -m tools.<name>`."""
