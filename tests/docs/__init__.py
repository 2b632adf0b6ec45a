"""Tests of the documentation: code blocks and links."""
