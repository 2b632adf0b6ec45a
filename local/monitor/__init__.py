"""Emulate the custom-metrics store of Azure Monitor on one machine.

`python -m local.monitor --port N` starts it; `local.monitor.server.running` starts it inside a
process. One port serves the identity endpoint of App Service (`identity`), the ingestion endpoint
(`ingestion`), reads of Azure Resource Manager (`arm`), metrics among them, the batch query of
metrics (`batch`), the metrics explorer (`explorer`) and, under `/_local/`, read-back, control and
documents to sample (`control`).

It shares nothing with the relay, so that a mistake in one is not hidden by the same mistake in the
other.
"""
