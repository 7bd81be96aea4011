"""A versioned key-value store for machine-learning models, served over gRPC by Twisted."""

__version__ = "0.1.0.dev0"
