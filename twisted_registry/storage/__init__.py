"""
Storage providers: synchronous, and free of Twisted's reactor.
"""
