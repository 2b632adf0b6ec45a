"""Stand in for Azure on one machine: storage queues, Azure Monitor, the Functions host."""
