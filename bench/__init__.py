"""Measurements of the product on this machine; nothing here is a test."""
