"""The templates under infra/, and what is published."""
