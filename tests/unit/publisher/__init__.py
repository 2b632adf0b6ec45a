"""Tests of shared/publisher."""
