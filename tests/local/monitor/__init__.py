"""The emulator of Azure Monitor, checked on its own by requests made by hand."""
