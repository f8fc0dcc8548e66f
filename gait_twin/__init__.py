"""A digital twin of a walking person: IMUs in; gait events, steps and a moving OpenSim skeleton out."""

__version__ = "0.1.0"
