"""What the black-box suites share: starting the real daemon and talking to it."""
