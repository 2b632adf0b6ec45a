"""Metric Relay: numbers from queues and samples into the Azure Monitor metrics store."""
