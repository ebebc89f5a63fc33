"""Tests of `suite.data.listops`."""
