"""Checks of the notebooks and the offline AWS that they run on."""
