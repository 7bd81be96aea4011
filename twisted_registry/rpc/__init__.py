"""
The protocol edge: the one place that knows gRPC, protobuf and asyncio.
"""
