"""Every device's page holds a body.yaml that works: it is read, its links are made, and its devices emulated."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gait_twin.sensing.devices import make_link, read_body
from gait_twin.sensing.protocols import PROTOCOLS, Transport, find

PAGES = sorted((Path(__file__).parents[2] / "docs" / "devices").glob("*.md"))
OF_DEVICES = [page for page in PAGES if page.stem != "writing_a_driver"]


def blocks(page):
    return re.findall(r"^```yaml\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", OF_DEVICES, ids=lambda page: page.stem)
def test_body_yaml_of_the_page_is_good(page, tmp_path):
    (text,) = blocks(page)
    path = tmp_path / "body.yaml"
    path.write_text(text)
    body = read_body(path)
    assert len(body.devices) >= 3
    assert body.subject.height_m == 1.75
    for device in body.devices:
        assert make_link(device).name
        protocol = find(device.protocol.name)
        options = protocol.make_options(device.options)
        protocol.decoder(options)
        protocol.start(options)


def test_every_protocol_is_on_a_page_with_wiring_or_pairing(tmp_path):
    shown = set()
    for page in OF_DEVICES:
        text = page.read_text(encoding="utf-8")
        assert re.search(r"^## (Wiring|Connect|Arduino)", text, re.MULTILINE), page
        path = tmp_path / f"{page.stem}.yaml"
        path.write_text(blocks(page)[0])
        shown |= {device.protocol.name for device in read_body(path).devices}
    assert shown == set(PROTOCOLS)
    assert {transport for name in shown for transport in PROTOCOLS[name].transports} == set(Transport)
