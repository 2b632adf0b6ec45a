"""How the relay talks to Azure and others."""
