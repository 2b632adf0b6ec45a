"""Tests of shared/pipeline."""
