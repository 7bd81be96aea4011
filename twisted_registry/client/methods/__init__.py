"""
The methods of the asyncio client, a module per subject.
"""
