"""Protocols of IMUs: pure decoders of bytes, encoders for their emulators, and what a driver must know."""

from gait_twin.sensing.protocols.base import (
    BleProfile,
    Command,
    Decoder,
    DecoderStats,
    Encoder,
    Protocol,
    Sample,
    SampleFlag,
    Session,
    Transport,
)
from gait_twin.sensing.protocols.emulator import (
    Emission,
    EmulatedSensor,
    EmulatorSettings,
    damage,
    emulate,
    emulate_stream,
)
from gait_twin.sensing.protocols.framing import DelimitedDecoder, SyncDecoder, Unwrapper
from gait_twin.sensing.protocols.registry import PROTOCOLS, find

__all__ = [
    "PROTOCOLS",
    "BleProfile",
    "Command",
    "Decoder",
    "DecoderStats",
    "DelimitedDecoder",
    "Emission",
    "EmulatedSensor",
    "EmulatorSettings",
    "Encoder",
    "Protocol",
    "Sample",
    "SampleFlag",
    "Session",
    "SyncDecoder",
    "Transport",
    "Unwrapper",
    "damage",
    "emulate",
    "emulate_stream",
    "find",
]
