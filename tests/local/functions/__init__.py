"""Tests of the Functions host under local/, most of them against the real Azurite."""
