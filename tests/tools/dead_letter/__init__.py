"""Tests of the dead-letter tool."""
