"""Meshes of a model's bones for viewers: found in a Geometry folder, and turned into what viewers read."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gait_twin.errors import InputError
from gait_twin.twin.opensim_api import opensim

FloatArray = NDArray[np.float64]

READ_BY_VIEWERS = (".stl", ".dae", ".obj")
"""What RViz reads. OpenSim's own kind, .vtp, is not among it."""
PACKAGE = "package://"
NAMED = 3
"""Missing meshes that are named."""


@dataclass(frozen=True, slots=True)
class Visual:
    """A mesh on a body.

    Attributes
    ----------
    body
        Name of the body.
    uri
        ``file://`` or ``package://``.
    rotation, translation
        (3, 3), (3,) of the mesh in the body's axes, m.
    scale
        (3,) factors.
    """

    body: str
    uri: str
    rotation: FloatArray
    translation: FloatArray
    scale: FloatArray


def visuals(model: opensim.Model, geometry: str) -> tuple[list[Visual], tuple[str, ...]]:
    """Meshes of a model's bodies.

    Parameters
    ----------
    model
        Connected and initialised.
    geometry
        Folder with the files that the model names, as OpenSim's Geometry: a mesh that viewers do not read (.vtp) is
        turned into STL in a folder of temporary files, once. Or ``package://NAME/FOLDER``, which has to hold STL
        files of the same names.

    Returns
    -------
    visuals : list of Visual
    notices : tuple of str
        A sentence on meshes that are not there.

    Raises
    ------
    InputError
        No such folder.
    """
    folder = Path(geometry).expanduser()
    if not geometry.startswith(PACKAGE) and not folder.is_dir():
        raise InputError(f"There is no folder {geometry}; give OpenSim's Geometry folder, or package://NAME/FOLDER.")
    found, missing = [], []
    for frame, mesh in _meshes(model):
        name = Path(mesh.get_mesh_file()).name
        if geometry.startswith(PACKAGE):
            uri = f"{geometry.rstrip('/')}/{Path(name).stem}.stl"
        else:
            path = _readable(folder, name)
            if path is None:
                missing.append(name)
                continue
            uri = path.resolve().as_uri()
        transform = frame.findTransformInBaseFrame()  # owns what R() and p() refer to
        matrix = transform.R()
        rotation = np.array([[matrix.get(i, j) for j in range(3)] for i in range(3)])
        scale = mesh.get_scale_factors().to_numpy().copy()
        found.append(Visual(frame.findBaseFrame().getName(), uri, rotation, transform.p().to_numpy().copy(), scale))
    if not missing:
        return found, ()
    names = ", ".join(dict.fromkeys(missing[:NAMED])) + (" …" if len(missing) > NAMED else "")
    notice = (
        f"{len(missing)} of {len(missing) + len(found)} meshes are not in {geometry}, or cannot be read ({names}); "
        "bodies without any are shown as simple shapes."
    )
    return found, (notice,)


def _meshes(model: opensim.Model) -> Iterator[tuple[opensim.PhysicalFrame, opensim.Mesh]]:
    for frame in model.getFrameList():
        if frame.findBaseFrame().getName() == "ground" or not frame.hasProperty("attached_geometry"):
            continue
        for i in range(frame.getPropertyByName("attached_geometry").size()):
            mesh = opensim.Mesh.safeDownCast(frame.get_attached_geometry(i))
            if mesh:
                yield frame, mesh


def _readable(folder: Path, name: str) -> Path | None:
    """The mesh in a format for viewers; None where it is not there or cannot be read."""
    for suffix in READ_BY_VIEWERS:
        path = folder / f"{Path(name).stem}{suffix}"
        if path.is_file():
            return path
    source = folder / name
    return _as_stl(source) if source.is_file() else None


def _as_stl(source: Path) -> Path | None:
    """An STL of a mesh that Simbody reads, kept for the next time."""
    stat = source.stat()
    key = hashlib.sha256(f"{source.resolve()} {stat.st_mtime_ns} {stat.st_size}".encode()).hexdigest()[:16]
    cache = Path(tempfile.gettempdir()) / f"gait_twin_meshes_{os.getuid()}"
    target = cache / f"{source.stem}-{key}.stl"
    if target.is_file():
        return target
    mesh = opensim.PolygonalMesh()
    try:
        mesh.loadFile(str(source))
    except RuntimeError:
        return None
    vertices = np.array([mesh.getVertexPosition(i).to_numpy() for i in range(mesh.getNumVertices())])
    triangles = [
        (mesh.getFaceVertex(face, 0), mesh.getFaceVertex(face, k), mesh.getFaceVertex(face, k + 1))
        for face in range(mesh.getNumFaces())
        for k in range(1, mesh.getNumVerticesForFace(face) - 1)
    ]
    corners = vertices[np.array(triangles, dtype=np.intp).reshape(-1, 3)]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    # binary STL: an 80 byte header, the number of triangles, 50 bytes each
    rows = np.zeros(len(corners), dtype=[("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
    rows["normal"], rows["corners"] = normals, corners
    cache.mkdir(mode=0o700, exist_ok=True)
    part = target.with_suffix(f".{os.getpid()}")
    part.write_bytes(b"\0" * 80 + np.uint32(len(rows)).tobytes() + rows.tobytes())
    part.replace(target)
    return target
