"""What happens to a message or a sample."""
