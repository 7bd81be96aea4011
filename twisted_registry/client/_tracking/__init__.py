"""
Trackers of models.
"""
