"""What the triggers share: publishing to Azure Monitor."""
