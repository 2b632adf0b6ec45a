"""The commands `metric-relay doctor | send | dead-letter`; the Python client is in `client/`."""
