"""BlueZ as programs see it, on a D-Bus of its own: one adapter, and peripherals that speak a protocol's payloads.

bleak's own BlueZ backend talks to it, so that all but the kernel and the radio is what runs with a real device.
"""

from __future__ import annotations

import asyncio
import subprocess
import threading
from collections.abc import Callable

from dbus_fast import BusType, DBusError, Variant
from dbus_fast.aio import MessageBus
from dbus_fast.constants import PropertyAccess
from dbus_fast.service import ServiceInterface, dbus_method, dbus_property

ADAPTER = "/org/bluez/hci0"
# the annotations below are D-Bus signatures, not Python
# ruff: noqa: F722, F821, N802, UP037


class Adapter(ServiceInterface):
    """The radio."""

    def __init__(self, devices: list[Device]) -> None:
        super().__init__("org.bluez.Adapter1")
        self.devices = devices

    @dbus_property(access=PropertyAccess.READ)
    def Address(self) -> "s":
        return "00:00:00:00:00:01"

    @dbus_property(access=PropertyAccess.READ)
    def Powered(self) -> "b":
        return True

    @dbus_property(access=PropertyAccess.READ)
    def Roles(self) -> "as":
        return ["central"]

    @dbus_property(access=PropertyAccess.READ)
    def Discovering(self) -> "b":
        return True

    @dbus_method()
    def StartDiscovery(self):
        for device in self.devices:
            if device.reachable:  # it is heard to advertise
                asyncio.get_running_loop().call_later(0.05, device.emit_properties_changed, {"RSSI": -50})

    @dbus_method()
    def StopDiscovery(self):
        pass

    @dbus_method()
    def SetDiscoveryFilter(self, properties: "a{sv}"):
        pass

    @dbus_method()
    def RemoveDevice(self, device: "o"):
        pass


class Device(ServiceInterface):
    """A peripheral's link."""

    def __init__(self, address: str, name: str, service: str) -> None:
        super().__init__("org.bluez.Device1")
        self.address, self.label, self.offers = address, name, service
        self.connected, self.reachable = False, True
        self.connections = 0

    @dbus_property(access=PropertyAccess.READ)
    def Address(self) -> "s":
        return self.address

    @dbus_property(access=PropertyAccess.READ)
    def Name(self) -> "s":
        return self.label

    @dbus_property(access=PropertyAccess.READ)
    def Alias(self) -> "s":
        return self.label

    @dbus_property(access=PropertyAccess.READ)
    def Adapter(self) -> "o":
        return ADAPTER

    @dbus_property(access=PropertyAccess.READ)
    def Paired(self) -> "b":
        return False

    @dbus_property(access=PropertyAccess.READ)
    def UUIDs(self) -> "as":
        return [self.offers]

    @dbus_property(access=PropertyAccess.READ)
    def RSSI(self) -> "n":
        return -50

    @dbus_property(access=PropertyAccess.READ)
    def Connected(self) -> "b":
        return self.connected

    @dbus_property(access=PropertyAccess.READ)
    def ServicesResolved(self) -> "b":
        return self.connected

    def link(self, up: bool) -> None:
        """The radio link is made, or lost."""
        self.connected = up
        self.emit_properties_changed({"Connected": up, "ServicesResolved": up})

    @dbus_method()
    def Connect(self):
        if not self.reachable:
            raise DBusError("org.bluez.Error.Failed", "le-connection-abort-by-local")
        self.connections += 1
        self.link(True)

    @dbus_method()
    def Disconnect(self):
        self.link(False)


class Service(ServiceInterface):
    """A GATT service."""

    def __init__(self, uuid: str, device: str) -> None:
        super().__init__("org.bluez.GattService1")
        self.uuid, self.device = uuid, device

    @dbus_property(access=PropertyAccess.READ)
    def UUID(self) -> "s":
        return self.uuid

    @dbus_property(access=PropertyAccess.READ)
    def Primary(self) -> "b":
        return True

    @dbus_property(access=PropertyAccess.READ)
    def Device(self) -> "o":
        return self.device


class Characteristic(ServiceInterface):
    """A GATT characteristic."""

    def __init__(self, uuid: str, service: str, flags: list[str], heard: Callable[[str, bytes], None]) -> None:
        super().__init__("org.bluez.GattCharacteristic1")
        self.uuid, self.service, self.flags, self.heard = uuid, service, flags, heard
        self.notifying, self.value = False, b""

    @dbus_property(access=PropertyAccess.READ)
    def UUID(self) -> "s":
        return self.uuid

    @dbus_property(access=PropertyAccess.READ)
    def Service(self) -> "o":
        return self.service

    @dbus_property(access=PropertyAccess.READ)
    def Flags(self) -> "as":
        return self.flags

    @dbus_property(access=PropertyAccess.READ)
    def Notifying(self) -> "b":
        return self.notifying

    @dbus_property(access=PropertyAccess.READ)
    def MTU(self) -> "q":
        return 247

    @dbus_property(access=PropertyAccess.READ)
    def Value(self) -> "ay":
        return self.value

    @dbus_method()
    def StartNotify(self):
        self.notifying = True
        self.emit_properties_changed({"Notifying": True})

    @dbus_method()
    def StopNotify(self):
        self.notifying = False

    @dbus_method()
    def WriteValue(self, value: "ay", options: "a{sv}"):
        assert all(isinstance(option, Variant) for option in options.values())
        self.heard(self.uuid, bytes(value))

    def notify(self, data: bytes) -> None:
        """Send a notification."""
        self.value = data
        self.emit_properties_changed({"Value": data})


class Peripheral:
    """A device: its link, its characteristics, and what was written to it."""

    def __init__(self, address: str, name: str, service: str, notify: str, writes: tuple[str, ...]) -> None:
        self.device = Device(address, name, service)
        self.written: list[tuple[str, bytes]] = []
        path = f"{ADAPTER}/dev_{address.replace(':', '_')}"
        self.objects: list[tuple[str, ServiceInterface]] = [(path, self.device)]
        self.objects.append((f"{path}/service0010", Service(service, path)))
        self._notify = Characteristic(notify, f"{path}/service0010", ["notify"], self._heard)
        self.objects.append((f"{path}/service0010/char0011", self._notify))
        for i, uuid in enumerate(writes):
            one = Characteristic(uuid, f"{path}/service0010", ["write"], self._heard)
            self.objects.append((f"{path}/service0010/char{0x20 + i:04x}", one))

    def _heard(self, uuid: str, data: bytes) -> None:
        self.written.append((uuid, data))

    @property
    def listened_to(self) -> bool:
        return self.device.connected and self._notify.notifying


class Bluez:
    """A D-Bus daemon with BlueZ's name on it, in a thread."""

    def __init__(self, folder, peripherals: list[Peripheral]) -> None:
        config = folder / "bus.conf"
        self.address = f"unix:path={folder}/bus"
        config.write_text(
            f"<busconfig><type>system</type><listen>{self.address}</listen><auth>EXTERNAL</auth><policy "
            'context="default"><allow own="*"/><allow send_destination="*" eavesdrop="true"/><allow '
            'receive_sender="*"/></policy></busconfig>'
        )
        self._daemon = subprocess.Popen(
            ["dbus-daemon", f"--config-file={config}", "--nofork", "--print-address"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert self._daemon.stdout is not None
        self._daemon.stdout.readline()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.call(self._begin(peripherals))

    async def _begin(self, peripherals: list[Peripheral]) -> None:
        self._bus = await MessageBus(bus_address=self.address, bus_type=BusType.SYSTEM).connect()
        self._bus.export(ADAPTER, Adapter([peripheral.device for peripheral in peripherals]))
        for peripheral in peripherals:
            for path, interface in peripheral.objects:
                self._bus.export(path, interface)
        await self._bus.request_name("org.bluez")

    def call(self, job):
        return asyncio.run_coroutine_threadsafe(job, self._loop).result(10.0)

    def notify(self, peripheral: Peripheral, data: bytes) -> None:
        """Send a notification, if anyone is there."""
        if peripheral.listened_to:
            self._loop.call_soon_threadsafe(peripheral._notify.notify, data)

    def lose(self, peripheral: Peripheral) -> None:
        """The radio link breaks off."""
        peripheral._notify.notifying = False
        self._loop.call_soon_threadsafe(peripheral.device.link, False)

    def close(self) -> None:
        async def end() -> None:
            self._bus.disconnect()

        self.call(end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._daemon.terminate()
        self._daemon.wait(5.0)
        if self._daemon.stdout is not None:
            self._daemon.stdout.close()
