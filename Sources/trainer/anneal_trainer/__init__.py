"""Anneal's Python worker: trains a language model (SFT), or makes a small one from a configuration.

Run as `python -m anneal_trainer` inside an attempt; see `job.py` for what the environment must hold.
Nothing here imports torch at import time, so that a bad request or bad data is refused in well under a second.
"""
