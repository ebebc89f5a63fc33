"""The data: facts about data sets, their preparation and verification, and reading them for training."""
