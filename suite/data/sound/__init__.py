"""Recordings: WAV files in folders, prepared as log-mel spectrograms, which are images of one channel."""
