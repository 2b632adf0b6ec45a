"""List, show, replay and purge dead letters: `dead-letter` on the command line."""
