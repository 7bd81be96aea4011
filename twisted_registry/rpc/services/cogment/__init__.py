"""
``cogmentAPI.ModelRegistrySP``, the API of Cogment's clients.
"""
