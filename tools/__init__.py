"""What an operator or a producer types: `python -m tools <command>`, and the client in Python."""
