"""
How a release is made: ``make release``, and then ``make tag``; docs/guides/release.md tells the steps.

Nothing here pushes or uploads: that is for a person to do, who has looked at it.
"""
