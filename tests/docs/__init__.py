"""The doc-tester: whatever stands in README.md and docs/ is run, or checked, or excused by name."""
