"""Emulate the custom-metrics store of Azure Monitor on one machine.

`python -m local.monitor --port N` starts it; `local.monitor.server.running` starts it inside a
process. One port serves the identity endpoint of App Service (`identity`), the ingestion endpoint
(`ingestion`), Azure Resource Manager with its metrics (`arm`), the batch query of metrics
(`batch`), the metrics explorer (`explorer`) and, under `/_local/`, the control API (`control`).

It shares nothing with the relay, so that a mistake in one is not hidden by the same mistake in the
other.
"""
