"""The hub on recordings of people: agreement with OpenSim's own calibration, signs and plausible motion."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from gait_twin.recording import Recording, SlotStatus
from gait_twin.recording.axes import angle_between, quat_about_z, quat_conjugate, quat_multiply, quat_rotate
from gait_twin.recording.importers import IMPORTERS
from gait_twin.sensing import HubSettings, SensorHub
from gait_twin.sensing.orientation import heading_of

pytestmark = pytest.mark.data


def frames_of(recording: Recording, settings: HubSettings | None = None):
    hub = SensorHub(tuple(recording.imus), settings)
    edges = np.arange(0.0, recording.duration_s + 1.0, 0.5)
    cuts = {name: np.searchsorted(s.time_s, edges) for name, s in recording.imus.items()}
    blocks = []
    for n in range(len(edges) - 1):
        for name, s in recording.imus.items():
            rows = slice(*cuts[name][n : n + 2])
            gyr, quat = (None if v is None else v[rows] for v in (s.gyr_radps, s.quat_wxyz))
            hub.push(name, s.time_s[rows], s.acc_mps2[rows], gyr, quat)
        blocks.append(hub.poll())
    blocks.append(hub.flush())
    names = ("time_s", "quat_wxyz", "body_quat_wxyz", "status")
    return hub, [np.concatenate([getattr(b, n) for b in blocks]) for n in names]


@pytest.fixture(scope="module")
def xsens_walk(request):
    folder = request.getfixturevalue("data_dir") / "opensim_xsens_walk"
    return folder, IMPORTERS["xsens_mt"].load(folder / "raw")


def sensor_bodies(folder, recording):
    """Body orientation of each sensor as OpenSim's IMU placer calibrates it, in the sensors' earth frame."""
    opensim = pytest.importorskip("opensim")
    opensim.Logger.setLevelString("Off")
    model = opensim.Model(str(folder / "derived" / "calibrated.osim"))
    model.initSystem()
    bodies = {}
    for name, stream in recording.imus.items():
        frame = opensim.PhysicalOffsetFrame.safeDownCast(model.getComponent(f"/bodyset/{name}/{name}_imu"))
        q = frame.getOffsetTransform().R().convertRotationToQuaternion()
        bodies[name] = quat_multiply(stream.quat_wxyz, quat_conjugate([q.get(i) for i in range(4)]))
    return bodies


@pytest.mark.parametrize(
    ("settings", "limit_deg"),
    [
        # the axis that OpenSim's set-up names: the same calibration
        (HubSettings(mounting=("pelvis=z",)), 1.0),
        # found from walking: its forward is 9 degrees from the pelvis sensor's axis
        (HubSettings(), 5.0),
        # no earth frame, and angular rates from the orientations
        (HubSettings(use_device_orientation=False), 8.0),
    ],
)
def test_xsens_walk_agrees_with_opensim(xsens_walk, settings, limit_deg):
    folder, recording = xsens_walk
    reference = sensor_bodies(folder, recording)
    hub, (_, _, body, status) = frames_of(recording, settings)
    assert np.all(status[100:2400] & SlotStatus.GYRO_DERIVED)
    for i, name in enumerate(hub.segments):
        rows = np.flatnonzero(status[:, i] & SlotStatus.HEADING)
        rows = rows[rows < len(reference[name])]
        assert len(rows) > 300, name
        truth, found = reference[name][rows], body[rows, i]
        difference = heading_of(quat_multiply(truth, quat_conjugate(found)))
        heading = np.angle(np.exp(1j * difference).sum())
        error = np.degrees(angle_between(truth, quat_multiply(quat_about_z(heading), found)))
        assert np.sqrt(np.mean(error**2)) < limit_deg, name
    assert hub.calibration.notices == ()


def flexion_deg(parent, child):
    """Rotation about the body's z axis (right), degrees."""
    relative = quat_multiply(quat_conjugate(parent), child)
    return Rotation.from_quat(np.roll(relative, -1, axis=1)).as_euler("ZXY", degrees=True)[:, 0]


def test_xsens_walk_bends_knees_backwards(xsens_walk):
    _, recording = xsens_walk
    hub, (_, _, body, status) = frames_of(recording)
    rows = (status & SlotStatus.HEADING).all(axis=1)
    body = {name: body[rows, i] for i, name in enumerate(hub.segments)}
    for side in "rl":
        knee = np.percentile(-flexion_deg(body[f"femur_{side}"], body[f"tibia_{side}"]), [1, 99])
        hip = np.percentile(flexion_deg(body["pelvis"], body[f"femur_{side}"]), [1, 99])
        assert -10 < knee[0] < 10
        assert 50 < knee[1] < 75
        assert 30 < hip[1] - hip[0] < 50
        assert hip[0] < -5


def test_treadmill_with_own_headings(data_dir):
    """Feet, shanks and sacrum without a common heading; the person straddled the belt while standing."""
    recording = IMPORTERS["physilog"].load(data_dir / "treadmill_7imu")
    hub, (time, quat, body, status) = frames_of(recording, HubSettings(use_device_orientation=False))
    found = hub.calibration.segments
    assert all(c.heading_from == "walking" for c in found.values())
    assert status[1500:16000].all()
    # sensors were strapped outwards: the sacrum's z points backwards, the shanks' sideways
    i = hub.segments.index("pelvis")
    standing = quat[np.searchsorted(time, found["pelvis"].rest_start_s + 0.5), i]
    back = quat_rotate(standing, np.array([0.0, 0.0, 1.0]))
    forward = np.degrees(np.arctan2(-back[1], -back[0]))
    assert abs((found["pelvis"].heading_deg - forward + 180) % 360 - 180) < 12
    rows = (time > 20) & (time < 150)
    for side, other in (("right", "r"), ("left", "l")):
        shank = quat_rotate(body[rows, hub.segments.index(f"tibia_{other}")], np.array([0.0, 1.0, 0.0]))
        pitch = np.percentile(np.degrees(np.arctan2(-shank[:, 0], shank[:, 2])), [1, 99])
        assert -75 < pitch[0] < -50, side
        assert 5 < pitch[1] < 25, side
        assert any(f"tibia_{other} leans" in n and f"to the {side}" in n for n in hub.calibration.notices)


def test_treadmill_device_orientations_are_found_out(data_dir):
    recording = IMPORTERS["physilog"].load(data_dir / "treadmill_7imu")
    if any(s.quat_wxyz is None for s in recording.imus.values()):
        pytest.skip("the importer gives no orientations of these devices")
    notices = " ".join(frames_of(recording)[0].calibration.notices)
    assert "no common heading" in notices
    assert "off gravity" in notices


@pytest.mark.parametrize("trial", ["1-1", "4-1", "8-4", "10-1", "11-1", "16-6"])
def test_back_and_feet_face_forward_in_healthy_trials(data_dir, trial):
    """The L5 sensor's z points backwards and the feet's x or z forward, by the way the sensors were worn."""
    recording = IMPORTERS["gait_text_json"].load(data_dir / "foot_healthy_10m" / trial)
    hub, (time, quat, _, _) = frames_of(recording)
    for i, name in enumerate(hub.segments):
        found = hub.calibration.segments[name]
        assert found.heading_known, name
        standing = quat[np.searchsorted(time, found.rest_start_s + 0.5), i]
        angle = np.radians(found.heading_deg)
        forward = quat_rotate(quat_conjugate(standing), np.array([np.cos(angle), np.sin(angle), 0.0]))
        if name == "pelvis":
            assert forward[2] < -0.7
        else:
            assert forward[2] - forward[0] > 0.8
