"""Reading, mending and clearing the dead-letter queue: `python -m tools dead-letter`."""
