"""Tests of `suite.data.sound`."""
