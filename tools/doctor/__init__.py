"""`python -m tools doctor`: walks the chain from the settings to the store, link by link."""
