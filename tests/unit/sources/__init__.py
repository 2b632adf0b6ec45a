"""Unit tests, which mirror shared/."""
