"""The command `doctor`: a list of checks, from the settings to the metrics store."""
