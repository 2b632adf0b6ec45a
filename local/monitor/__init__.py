"""An emulator of the Azure Monitor custom-metrics store, for a laptop.

`python -m local.monitor --port N` starts it; `local.monitor.server.running` starts it inside a
process. One port serves the identity endpoint of App Service (`identity`), the ingestion endpoint
(`ingestion`), what of Azure Resource Manager is read (`arm`), metrics among it, the batch query of
metrics (`batch`) and, under `/_local/`, what only an emulator has: read-back and control
and sources to sample (`control`).

Written from what is known of the service alone: it shares nothing with the relay, so that a
mistake in one is not hidden by the same mistake in the other.
"""
