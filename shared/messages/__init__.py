"""Queue bodies <-> what flows through the relay."""
