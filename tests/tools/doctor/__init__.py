"""The doctor: each check with a fake context, a file for each module; a few faults end to end."""
