"""
Coordination: the state that several processes of one registry would have to share.
"""
