"""`metric-relay send`: read points, check them, put them into the ingress queue."""
