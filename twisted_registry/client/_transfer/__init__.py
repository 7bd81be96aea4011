"""
Transfers of versions' data.
"""
