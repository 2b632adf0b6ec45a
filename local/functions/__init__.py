"""Host Azure Functions on machines without Core Tools.

`python -m local.functions [--app DIR]` runs the queue and timer triggers of DIR/function_app.py
as Azure does: what the storage extension, the host and the Python worker do to a message is
done here too, with azure-functions' own converters. Everything else is refused by name.
"""
