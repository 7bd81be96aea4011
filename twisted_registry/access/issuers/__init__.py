"""
Tokens of issuers: JSON Web Tokens, and the keys that sign them.
"""
