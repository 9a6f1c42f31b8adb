"""Message Stream Encryption (MSE/PE, Vuze wiki): obfuscation by Diffie-Hellman and RC4, keyed by the infohash.

It hides the protocol's strings from a lazy observer and authenticates nothing.
"""

from __future__ import annotations

from btresearch.transport.mse.initiator import MseInitiator
from btresearch.transport.mse.responder import MseResponder
from btresearch.transport.mse.skey import SkeyIndex
from btresearch.transport.mse.wire import METHODS, Method, PadRange

__all__ = ["METHODS", "Method", "MseInitiator", "MseResponder", "PadRange", "SkeyIndex"]
