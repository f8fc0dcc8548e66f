// The moving twin: points in metres (z up), drawn as a mannequin of tapered limbs on a plain canvas.
(() => {
  const twin = JSON.parse(document.getElementById("twin-data").textContent);
  const scene = document.getElementById("scene"), curves = document.getElementById("curves"), band = document.getElementById("band");
  const COLORS = { left: [0, 114, 178], right: [213, 94, 0], trunk: [96, 110, 124] };
  const frames = twin.time.length, first = twin.time[0], last = twin.time[frames - 1];
  let now = Math.min(Math.max(twin.start, first), last), playing = true, rate = 1, azimuth = -0.9 + twin.heading, elevation = 0.16, zoom = 1, before = null;
  const css = (c, k = 1, a = 1) => `rgba(${c.map(v => Math.round(Math.min(255, v * k))).join(",")},${a})`;

  function sized(canvas) { // sharp on any screen
    const ratio = window.devicePixelRatio || 1, w = canvas.clientWidth, h = canvas.clientHeight;
    if (canvas.width !== Math.round(w * ratio) || canvas.height !== Math.round(h * ratio)) { canvas.width = Math.round(w * ratio); canvas.height = Math.round(h * ratio); }
    const g = canvas.getContext("2d"); g.setTransform(ratio, 0, 0, ratio, 0, 0); g.clearRect(0, 0, w, h);
    return [g, w, h];
  }
  function at(time) { // index of the frame and how far to the next
    let low = 0, high = frames - 1;
    while (high - low > 1) { const mid = (low + high) >> 1; if (twin.time[mid] <= time) low = mid; else high = mid; }
    const span = twin.time[high] - twin.time[low];
    return [low, high, span > 0 ? Math.min(1, Math.max(0, (time - twin.time[low]) / span)) : 0];
  }
  function pose(time) {
    const [a, b, f] = at(time);
    return twin.points[a].map((p, i) => p.map((v, k) => (v + f * (twin.points[b][i][k] - v)) / 1000));
  }
  const smoothCentre = twin.points.map(p => p[0].slice());
  for (let pass = 0; pass < 2; pass++) { // the camera follows the walk, not each step
    const half = Math.round(twin.points.length > 1 ? 0.5 / (twin.time[1] - twin.time[0]) : 0), n = frames, sums = [[0, 0, 0]];
    smoothCentre.forEach((p, i) => sums.push(p.map((v, k) => sums[i][k] + v)));
    for (let i = 0; i < n; i++) { const l = Math.max(0, i - half), r = Math.min(n, i + half + 1); smoothCentre[i] = sums[r].map((v, k) => (v - sums[l][k]) / (r - l)); }
  }
  function drawScene() {
    const [g, w, h] = sized(scene), p = pose(now), [ia, ib, f] = at(now);
    const centre = [0, 1].map(k => (smoothCentre[ia][k] + f * (smoothCentre[ib][k] - smoothCentre[ia][k])) / 1000).concat(twin.floor + twin.height / 2);
    const ca = Math.cos(azimuth), sa = Math.sin(azimuth), ce = Math.cos(elevation), se = Math.sin(elevation);
    const distance = 5.2 * twin.height / 1.8, focal = zoom * 0.78 * Math.min(h, w * 1.1) / twin.height * distance;
    const project = q => {
      const x = q[0] - centre[0], y = q[1] - centre[1], z = q[2] - centre[2];
      const right = -sa * x + ca * y, away = -(ca * x + sa * y), depth = distance + ce * away - se * z, up = ce * z + se * away;
      return [w / 2 + focal * right / depth, h / 2 - focal * up / depth, depth, focal / depth];
    };
    // ground: a grid that fades out, and the footprints
    const reach = 4 * twin.height / 1.8, step = 0.5;
    g.lineWidth = 1;
    for (let axis = 0; axis < 2; axis++)
      for (let k = Math.ceil((centre[axis] - reach) / step); k * step <= centre[axis] + reach; k++)
        for (let s = -reach; s < reach; s += step) {
          const a = [0, 0, twin.floor], b = [0, 0, twin.floor]; a[axis] = b[axis] = k * step;
          a[1 - axis] = centre[1 - axis] + s; b[1 - axis] = a[1 - axis] + step;
          const gone = Math.hypot(a[0] - centre[0], a[1] - centre[1]) / reach;
          if (gone >= 1) continue;
          const [x1, y1, d1] = project(a), [x2, y2, d2] = project(b);
          if (d1 < 0.5 || d2 < 0.5) continue;
          g.strokeStyle = `rgba(120,136,152,${0.32 * (1 - gone) ** 1.5})`; g.beginPath(); g.moveTo(x1, y1); g.lineTo(x2, y2); g.stroke();
        }
    for (const [side, time, x, y, heading] of twin.prints) {
      if (time > now) continue;
      const age = Math.hypot(x - centre[0], y - centre[1]) / reach;
      if (age > 1) continue;
      g.fillStyle = css(COLORS[side], 1, 0.4 * (1 - age)); g.beginPath();
      for (let a = 0; a <= 12.01; a++) {
        const u = 0.13 * Math.cos(a * Math.PI / 6), v = 0.045 * Math.sin(a * Math.PI / 6);
        const [px, py] = project([x + u * Math.cos(heading) - v * Math.sin(heading), y + u * Math.sin(heading) + v * Math.cos(heading), twin.floor]);
        a ? g.lineTo(px, py) : g.moveTo(px, py);
      }
      g.fill();
    }
    // limbs as hulls of two circles, far ones first; their shadows on the ground before all
    const limbs = twin.limbs.map(([side, i, j, ri, rj]) => ({ side, a: p[i], b: p[j], ri, rj, i, j })).filter(l => l.a.concat(l.b).every(Number.isFinite));
    const hull = (a, b, ra, rb) => {
      const angle = Math.atan2(b[1] - a[1], b[0] - a[0]), length = Math.hypot(b[0] - a[0], b[1] - a[1]);
      if (length <= Math.abs(ra - rb)) { const [c, r] = ra > rb ? [a, ra] : [b, rb]; g.moveTo(c[0] + r, c[1]); g.arc(c[0], c[1], r, 0, 7); g.closePath(); return; }
      const turn = Math.acos((ra - rb) / length);
      g.moveTo(a[0] + ra * Math.cos(angle + turn), a[1] + ra * Math.sin(angle + turn));
      g.arc(a[0], a[1], ra, angle + turn, angle - turn + 2 * Math.PI); g.arc(b[0], b[1], rb, angle - turn, angle + turn); g.closePath();
    };
    g.fillStyle = "rgba(28,39,51,0.12)"; g.beginPath(); // one path: shadows do not add up where limbs cross
    for (const l of limbs) { const a = project([l.a[0], l.a[1], twin.floor]), b = project([l.b[0], l.b[1], twin.floor]); hull(a, b, l.ri * a[3] * 0.7, l.rj * b[3] * 0.7); }
    g.fill();
    const drawn = limbs.map(l => ({ l, a: project(l.a), b: project(l.b) })).sort((u, v) => v.a[2] + v.b[2] - u.a[2] - u.b[2]);
    for (const { l, a, b } of drawn) {
      const ra = l.ri * a[3], rb = l.rj * b[3], c = COLORS[l.side] || COLORS.trunk, haze = Math.max(-0.25, Math.min(0.3, ((a[2] + b[2]) / 2 - distance) * 0.6));
      const tone = c.map(v => v + (haze > 0 ? haze * (235 - v) : 0));
      g.beginPath(); hull(a, b, ra, rb);
      const angle = Math.atan2(b[1] - a[1], b[0] - a[0]), nx = -Math.sin(angle), ny = Math.cos(angle), r = Math.max(ra, rb), cx = (a[0] + b[0]) / 2, cy = (a[1] + b[1]) / 2, s = nx + ny > 0 ? -1 : 1;
      const shade = g.createLinearGradient(cx + s * nx * r, cy + s * ny * r, cx - s * nx * r, cy - s * ny * r);
      shade.addColorStop(0, css(tone, 1.18)); shade.addColorStop(0.45, css(tone)); shade.addColorStop(1, css(tone, 0.72));
      g.fillStyle = shade; g.fill(); g.strokeStyle = "rgba(255,255,255,0.75)"; g.lineWidth = 1; g.stroke();
    }
  }
  const shown = 3; // s of the past and half of it of the future in the strips beside
  const contact = side => twin.stance.filter(s => s[0] === side);
  function drawCurves() {
    const [g, w, h] = sized(curves), n = twin.curves.length, pad = 12, room = (h - pad) / Math.max(n, 1);
    const t0 = now - shown * 0.7, t1 = now + shown * 0.3, X = t => w * (t - t0) / (t1 - t0);
    g.font = "12px system-ui,sans-serif";
    twin.curves.forEach(({ label, left, right, low, high }, row) => {
      const top = pad + row * room, bottom = top + room - 12, Y = v => bottom - (bottom - top - 22) * (v / 10 - low) / (high - low);
      g.fillStyle = "#1c2733"; g.textAlign = "left"; g.fillText(label, 14, top + 11);
      g.strokeStyle = "#e3e8ed"; g.lineWidth = 1; g.beginPath(); g.moveTo(0, bottom + 5.5); g.lineTo(w, bottom + 5.5); g.stroke();
      if (low < 0 && high > 0) { g.setLineDash([2, 3]); g.beginPath(); g.moveTo(0, Y(0)); g.lineTo(w, Y(0)); g.stroke(); g.setLineDash([]); }
      let x = w - 12;
      for (const [side, values] of [["right", right], ["left", left]]) {
        if (!values) continue;
        g.strokeStyle = css(COLORS[side]); g.lineWidth = 1.8; g.beginPath();
        const from = at(Math.max(t0, first))[0], to = at(Math.min(t1, last))[1];
        let open = false;
        for (let i = from; i <= to; i++) { if (values[i] === null) { open = false; continue; } const px = X(twin.time[i]), py = Y(values[i]); open ? g.lineTo(px, py) : g.moveTo(px, py); open = true; }
        g.stroke();
        const [a, b, f] = at(now);
        if (values[a] !== null && values[b] !== null) {
          const v = values[a] + f * (values[b] - values[a]);
          g.fillStyle = css(COLORS[side]); g.beginPath(); g.arc(X(now), Y(v), 3.5, 0, 7); g.fill();
          g.textAlign = "right"; g.fillText(`${Math.round(v / 10) || 0}°`, x, top + 11); x -= 40;
        }
      }
    });
    g.strokeStyle = "rgba(28,39,51,0.35)"; g.lineWidth = 1; g.beginPath(); g.moveTo(X(now), pad); g.lineTo(X(now), h); g.stroke();
  }
  function drawBand() { // stance of both feet over the whole recording, to see and to seek
    const [g, w, h] = sized(band), X = t => 60 + (w - 76) * (t - first) / (last - first || 1);
    g.font = "12px system-ui,sans-serif"; g.textAlign = "left";
    ["left", "right"].forEach((side, row) => {
      const y = 12 + row * 22;
      g.fillStyle = css(COLORS[side]); g.fillText(side, 16, y + 12);
      for (const [, from, to] of contact(side)) { g.fillStyle = css(COLORS[side], 1, 0.75); g.fillRect(X(from), y, Math.max(1, X(to) - X(from)), 16); }
    });
    g.fillStyle = "#1c2733"; g.fillRect(X(now) - 1, 6, 2, h - 12);
  }
  const clock = document.getElementById("clock"), play = document.getElementById("play");
  function draw() {
    drawScene(); if (curves) drawCurves(); drawBand();
    clock.textContent = `${now.toFixed(2)} of ${last.toFixed(1)} s`; play.textContent = playing ? "Pause" : "Play";
  }
  function tick(stamp) {
    if (playing && before !== null) { now += rate * Math.min(0.1, (stamp - before) / 1000); if (now > last) now = first; }
    before = stamp; draw(); requestAnimationFrame(tick);
  }
  play.onclick = () => { playing = !playing; };
  document.getElementById("rate").onchange = e => { rate = Number(e.target.value); };
  document.getElementById("views").onchange = e => { [azimuth, elevation] = e.target.value.split(",").map(Number); azimuth += twin.heading; };
  const seek = e => { const box = band.getBoundingClientRect(); now = Math.min(last, Math.max(first, first + (last - first) * (e.clientX - box.left - 60) / (box.width - 76))); };
  band.onpointerdown = e => { band.setPointerCapture(e.pointerId); seek(e); band.onpointermove = seek; };
  band.onpointerup = () => { band.onpointermove = null; };
  let grip = null;
  scene.onpointerdown = e => { scene.setPointerCapture(e.pointerId); grip = [e.clientX, e.clientY]; };
  scene.onpointermove = e => { if (!grip) return; azimuth -= (e.clientX - grip[0]) * 0.008; elevation = Math.min(1.5, Math.max(-0.05, elevation + (e.clientY - grip[1]) * 0.006)); grip = [e.clientX, e.clientY]; };
  scene.onpointerup = () => { grip = null; };
  scene.addEventListener("wheel", e => { zoom = Math.min(4, Math.max(0.4, zoom * Math.exp(-e.deltaY * 0.001))); e.preventDefault(); }, { passive: false });
  document.addEventListener("keydown", e => {
    if (e.target.tagName === "SELECT") return;
    if (e.key === " ") { playing = !playing; e.preventDefault(); }
    if (e.key === "ArrowLeft") now = Math.max(first, now - 0.04);
    if (e.key === "ArrowRight") now = Math.min(last, now + 0.04);
  });
  draw(); requestAnimationFrame(tick);
})();
