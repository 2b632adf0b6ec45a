"""Integration tests: what producers enqueue, and what store and queues hold afterwards."""
