"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
const sec = (ns) => (ns / 1e9).toFixed(6);
const end = Math.max(data.end, 1);
const story = data.outcome.story || "";
const flat = (value) => value === null ? "-" : Array.isArray(value) ? "[" + value.map(flat).join(", ") + "]"
  : typeof value === "object" ? Object.entries(value).map(([k, v]) => k === "is" ? flat(v) : k + "=" + flat(v)).join(" ") : String(value);
for (const entry of data.entries) entry.text = flat(entry[4]);

// What is drawn closely: at first what the listed entries cover at the end.
const first = data.entries.length ? data.entries[0][0] : 0;
let view = [Math.max(first, end - 2e7), end + 1e6];

function prepare(canvas, height) {
  const ratio = window.devicePixelRatio || 1, width = canvas.clientWidth;
  canvas.style.height = height + "px";
  canvas.width = width * ratio; canvas.height = height * ratio;
  const pen = canvas.getContext("2d");
  pen.scale(ratio, ratio); pen.clearRect(0, 0, width, height);
  pen.font = "11px 'DejaVu Sans Mono', monospace"; pen.textBaseline = "middle";
  return [pen, width];
}

const LEFT = 110;
function scale(span, width) { return (t) => LEFT + (t - span[0]) / (span[1] - span[0]) * (width - LEFT - 8); }

function axis(pen, span, width, y) {
  const raw = (span[1] - span[0]) / 8, power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= raw), x = scale(span, width);
  const digits = Math.min(9, Math.max(0, 9 - Math.floor(Math.log10(step))));
  pen.fillStyle = css("soft"); pen.strokeStyle = css("line");
  for (let t = Math.ceil(span[0] / step) * step; t <= span[1]; t += step) {
    pen.beginPath(); pen.moveTo(x(t), 0); pen.lineTo(x(t), y); pen.stroke();
    pen.fillText((t / 1e9).toFixed(digits) + " s", x(t) + 2, y + 8);
  }
}

function nodeRow(pen, span, width, node, y, height) {
  const x = scale(span, width), clip = (t) => Math.min(Math.max(t, span[0]), span[1]);
  pen.fillStyle = css("down"); pen.fillRect(LEFT, y, width - LEFT - 8, height);
  for (const life of data.lives.filter((life) => life.node === node)) {
    const to = life.to === null ? end : life.to;
    if (to < span[0] || life.from > span[1]) continue;
    pen.fillStyle = css("lane");
    pen.fillRect(x(clip(life.from)), y, Math.max(1, x(clip(to)) - x(clip(life.from))), height);
    if (life.to !== null && life.to >= span[0] && life.to <= span[1]) {
      pen.fillStyle = css("bad"); pen.fillRect(x(life.to) - 1, y, 2, height);
    }
  }
  for (const fault of data.faults.filter((fault) => fault.node === null || fault.node === node)) {
    if (fault.until < span[0] || fault.at > span[1]) continue;
    pen.fillStyle = css("fault");
    pen.fillRect(x(clip(fault.at)), y, Math.max(1, x(clip(fault.until)) - x(clip(fault.at))), height);
    if (fault.at >= span[0]) { pen.fillStyle = css("faultline"); pen.fillRect(x(fault.at), y, 1.5, height); }
  }
}

// The whole run.
function whole() {
  const span = [0, end * 1.005], canvas = $("whole"), [pen, width] = prepare(canvas, 120 + 22 * data.nodes);
  const x = scale(span, width), top = 22 * data.nodes + 8, height = 90;
  axis(pen, span, width, top + height);
  for (let node = 0; node < data.nodes; node++) {
    nodeRow(pen, span, width, node, 4 + 22 * node, 18);
    pen.fillStyle = css("ink"); pen.fillText("node " + node, 6, 13 + 22 * node);
  }
  const curves = data.curves[$("partition").value];
  if (curves) {
    const all = [...curves.log_end, ...curves.durable_end, ...curves.high_watermark].map((p) => p[1]);
    const most = Math.max(1, ...all), y = (v) => top + height - 4 - v / most * (height - 12);
    pen.fillStyle = css("soft"); pen.fillText(String(most), 6, y(most)); pen.fillText("0", 6, y(0));
    for (const [name, color, wide] of [["log_end", "log", 4], ["durable_end", "durable", 2], ["high_watermark", "hw", 1]]) {
      pen.strokeStyle = css(color); pen.lineWidth = wide; pen.beginPath();
      let last = null;
      for (const [t, v] of curves[name]) {
        if (last === null) pen.moveTo(x(t), y(v)); else { pen.lineTo(x(t), y(last)); pen.lineTo(x(t), y(v)); }
        last = v;
      }
      if (last !== null) pen.lineTo(x(end), y(last));
      pen.stroke();
    }
    pen.lineWidth = 1;
  }
  pen.strokeStyle = css("soft"); pen.setLineDash([3, 3]); pen.beginPath();
  pen.moveTo(x(data.faults_end), 0); pen.lineTo(x(data.faults_end), top + height); pen.stroke(); pen.setLineDash([]);
  if (data.faults_end < end) { pen.fillStyle = css("soft"); pen.fillText("faults end", x(data.faults_end) + 3, top + 6); }
  if (data.outcome.outcome === "failed") { pen.fillStyle = css("bad"); pen.fillRect(x(end) - 1, 0, 2, top + height); }
  pen.strokeStyle = css("ink");
  pen.strokeRect(x(Math.max(view[0], 0)), 1, Math.max(3, x(Math.min(view[1], end)) - x(Math.max(view[0], 0))), top + height - 2);
  return (px) => span[0] + (px - LEFT) / (width - LEFT - 8) * (span[1] - span[0]);
}

// Closely: a lane for each client and node.
const CLIENT = 20, NODE = 84;
let hits = [];
const lane = { clients: (n) => 10 + CLIENT * n, nodes: (n) => 24 + CLIENT * data.clients.length + (NODE + 10) * n };

function lanes() {
  const height = lane.nodes(data.nodes) + 22, [pen, width] = prepare($("lanes"), height), x = scale(view, width);
  const seen = (from, to) => to >= view[0] && from <= view[1];
  hits = [];
  axis(pen, view, width, height - 18);
  data.clients.forEach((role, n) => {
    pen.strokeStyle = css("line"); pen.beginPath(); pen.moveTo(LEFT, lane.clients(n)); pen.lineTo(width, lane.clients(n)); pen.stroke();
    pen.fillStyle = css("ink"); pen.fillText(n + " " + role, 6, lane.clients(n));
  });
  for (let node = 0; node < data.nodes; node++) {
    const y = lane.nodes(node);
    nodeRow(pen, view, width, node, y, NODE);
    pen.fillStyle = css("ink"); pen.fillText("node " + node, 6, y + 8);
    pen.fillStyle = css("soft"); pen.fillText("disk", 6, y + 50);
    for (const life of data.lives.filter((life) => life.node === node && seen(life.from, life.to === null ? end : life.to))) {
      pen.fillStyle = css("soft"); pen.fillText("life " + life.life, Math.max(x(life.from), LEFT) + 3, y + 8);
      if (life.to !== null && seen(life.to, life.to)) {
        pen.fillStyle = css("bad"); pen.fillText(life.how, x(life.to) + 4, y + 8);
        hits.push([x(life.to), y, 6, NODE, life.to, "node " + node + ": life " + life.life + " ends: " + life.how]);
      }
    }
    for (const fault of data.faults.filter((fault) => fault.node === node && seen(fault.at, fault.at))) {
      pen.fillStyle = css("faultline"); pen.fillText(fault.what, x(fault.at) + 4, y + 20);
      hits.push([x(fault.at), y, 8, NODE, fault.at, "fault " + fault.what + " " + flat(fault.fields)]);
    }
  }
  pen.save(); pen.beginPath(); pen.rect(LEFT, 0, width - LEFT, height); pen.clip();
  for (const [from, to, client, node, way, what] of data.messages) {
    if (!seen(from, to)) continue;
    const up = lane.clients(client), down = lane.nodes(node), y = way === 0 ? [up, down] : [down, up];
    pen.strokeStyle = css(way === 0 ? "ask" : "answer"); pen.globalAlpha = .75;
    pen.beginPath(); pen.moveTo(x(from), y[0]); pen.lineTo(x(to), y[1]); pen.stroke();
    pen.fillStyle = pen.strokeStyle; pen.beginPath(); pen.arc(x(to), y[1], 2.2, 0, 7); pen.fill(); pen.globalAlpha = 1;
    const label = "client " + client + (way === 0 ? " asks node " : " hears from node ") + node + ": " + what + ", sent " + sec(from) + ", arrived " + sec(to);
    hits.push([x(way === 0 ? from : to), up - 5, 7, 10, way === 0 ? from : to, label]);
  }
  const rows = {};
  for (const [from, to, node, shard, what, file, ok] of data.disk) {
    if (!seen(from, to)) continue;
    const busy = rows[node] = rows[node] || [0, 0, 0, 0, 0, 0];
    let row = busy.findIndex((until) => until <= from);
    if (row < 0) row = from % busy.length;
    busy[row] = to;
    const y = lane.nodes(node) + 30 + row * 8, color = what.startsWith("Write") ? "write" : what === "Sync" ? "sync" : what === "Read" ? "read" : "file";
    pen.fillStyle = css(ok ? color : "bad"); pen.globalAlpha = what.endsWith("Cached") ? .5 : 1;
    const wide = Math.max(1.5, x(to) - x(from));
    pen.fillRect(x(from), y, wide, 6); pen.globalAlpha = 1;
    hits.push([x(from), y - 1, wide, 8, from, "node " + node + "." + shard + ": " + what + " of " + file + (ok ? "" : " FAILED") + ", " + sec(from) + " to " + sec(to)]);
  }
  pen.restore();
  if (data.outcome.outcome === "failed" && seen(end, end)) { pen.fillStyle = css("bad"); pen.fillRect(x(end) - 1, 0, 2, height - 18); }
  pen.clearRect(0, height - 17, LEFT, 17);
}

function draw() { whole(); lanes(); }
function show(from, to) {
  const wide = Math.min(Math.max(to - from, 2000), end * 1.1);
  view = [from, from + wide]; draw();
}
function zoom(factor, at) { show(at - (at - view[0]) * factor, at - (at - view[0]) * factor + (view[1] - view[0]) * factor); }

const close = $("lanes");
const timeAt = (event) => view[0] + (event.offsetX - LEFT) / (close.clientWidth - LEFT - 8) * (view[1] - view[0]);
close.addEventListener("wheel", (event) => { event.preventDefault(); zoom(event.deltaY > 0 ? 1.3 : 1 / 1.3, timeAt(event)); }, { passive: false });
let held = null;
close.addEventListener("pointerdown", (event) => { held = [event.offsetX, ...view, false]; close.setPointerCapture(event.pointerId); });
close.addEventListener("pointermove", (event) => {
  if (held) {
    const by = (held[0] - event.offsetX) / (close.clientWidth - LEFT - 8) * (held[2] - held[1]);
    if (Math.abs(event.offsetX - held[0]) > 3) held[3] = true;
    if (held[3]) show(held[1] + by, held[2] + by);
    return;
  }
  const hit = nearest(event);
  $("tip").textContent = hit ? hit[5] : sec(timeAt(event)) + " s";
});
close.addEventListener("pointerup", (event) => {
  const moved = held && held[3]; held = null;
  const hit = nearest(event);
  if (!moved) scrollTo(hit ? hit[4] : timeAt(event));
});
function nearest(event) {
  let best = null;
  for (const hit of hits) {
    if (event.offsetX < hit[0] - 3 || event.offsetX > hit[0] + hit[2] + 3 || event.offsetY < hit[1] - 1 || event.offsetY > hit[1] + hit[3] + 1) continue;
    if (!best || hit[2] * hit[3] < best[2] * best[3]) best = hit;
  }
  return best;
}
const wholeCanvas = $("whole");
let brush = null;
wholeCanvas.addEventListener("pointerdown", (event) => { brush = event.offsetX; wholeCanvas.setPointerCapture(event.pointerId); });
wholeCanvas.addEventListener("pointerup", (event) => {
  const time = whole(), [a, b] = [time(Math.min(brush, event.offsetX)), time(Math.max(brush, event.offsetX))];
  if (b - a > end / 500) show(a, b); else show(a - 1e7, a + 1e7);
  brush = null;
});
$("in").onclick = () => zoom(.5, (view[0] + view[1]) / 2);
$("out").onclick = () => zoom(2, (view[0] + view[1]) / 2);
$("end").onclick = () => show(end - 2e7, end + 1e6);

// Lists.
const ROWS = 400;
function cells(row, values, name) {
  const tr = document.createElement("tr");
  if (name) tr.className = name;
  for (const value of values) tr.appendChild(document.createElement("td")).textContent = value;
  return tr;
}
const kinds = [...new Set(data.entries.map((entry) => entry[2]))];
for (const kind of kinds) {
  const label = document.createElement("label"), box = document.createElement("input");
  box.type = "checkbox"; box.checked = true; box.value = kind; box.onchange = () => list();
  label.append(box, " " + kind); $("kinds").append(label);
}
for (const site of [...new Set(data.entries.map((entry) => entry[1].split(".")[0]))].filter((site) => site).sort())
  $("site").append(new Option(site.replace(/^n/, "node ").replace(/^c/, "client "), site));
const where = (site) => site.replace(/^n/, "node ").replace(/^c/, "client ");
let listed = [];
function list(around) {
  const on = new Set([...$("kinds").querySelectorAll("input:checked")].map((box) => box.value)), site = $("site").value;
  const words = $("filter").value.toLowerCase().split(/\s+/).filter((word) => word && word !== "-");
  listed = data.entries.filter((entry) => {
    if (!on.has(entry[2]) || (site && entry[1] !== site && !entry[1].startsWith(site + "."))) return false;
    const text = (where(entry[1]) + " " + entry[2] + " " + entry[3] + " " + entry.text).toLowerCase();
    return words.every((word) => word[0] === "-" ? !text.includes(word.slice(1)) : word.split("|").some((part) => text.includes(part)));
  });
  let at = listed.length;
  if (around !== undefined) { at = listed.findIndex((entry) => entry[0] >= around); if (at < 0) at = listed.length; }
  const from = Math.max(0, Math.min(at - ROWS / 2, listed.length - ROWS)), some = listed.slice(from, from + ROWS);
  const body = $("events").tBodies[0];
  body.replaceChildren(...some.map((entry, index) => {
    const tr = cells(entry, [sec(entry[0]), where(entry[1]), entry[2], entry[3], entry.text], "k-" + entry[2]);
    if (around !== undefined && from + index === at) tr.classList.add("marked");
    tr.onclick = () => show(entry[0] - (view[1] - view[0]) / 2, entry[0] + (view[1] - view[0]) / 2);
    return tr;
  }));
  const left = data.left_out ? ", " + data.left_out + " earlier ones are in trace.ndjson" : "";
  $("shown").textContent = some.length + " of " + listed.length + " shown" + (listed.length > ROWS ? ", click in the lanes to move" : "") + left;
  const scroll = body.closest(".scroll"), marked = body.querySelector(".marked");
  scroll.scrollTop = marked ? marked.offsetTop - 120 : scroll.scrollHeight;
}
function scrollTo(time) { list(time); }
function batches() {
  const word = $("bfilter").value.toLowerCase();
  const rows = data.batches.filter((row) => !word || row.map(String).join(" ").toLowerCase().includes(word));
  rows.sort((a, b) => b[8] - a[8]);
  const some = [...rows.filter((row) => row[8]), ...rows.filter((row) => !row[8]).slice(-ROWS)];
  $("batches").tBodies[0].replaceChildren(...some.map((row) => {
    const tr = cells(row, [row[0], row[1] === null ? "" : row[1], row[2], row[3], sec(row[4]), row[5] === null ? "" : sec(row[5]), row[6], row[7] === null ? "" : row[7]],
      row[8] ? "marked" : "");
    tr.onclick = () => show(row[4] - 1e6, (row[5] || row[4] + 1e7) + 1e6);
    return tr;
  }));
  $("bshown").textContent = some.length + " of " + rows.length + " shown; ok: acknowledged, fail: not written, info: its fate is not known";
}
$("filter").oninput = () => list(); $("site").onchange = () => list(); $("bfilter").oninput = batches;

// The partition that the story speaks of comes first.
const spoken = (story.match(/Place \{ topic: (\d+), index: (\d+) \}/) || []).slice(1).join("-");
function preset(name, filter) {
  const button = document.createElement("button");
  button.textContent = name;
  button.onclick = () => { $("filter").value = filter; list(); };
  $("kinds").after(button);
}
if (spoken) {
  const same = data.curves.filter((curves) => curves.name === "topic-" + spoken).map((curves) => curves.partition);
  preset("all", "");
  preset("only topic-" + spoken, ["topic-" + spoken, ...same, "violation"].join("|"));
}
data.curves.forEach((curves, index) => $("partition").append(new Option(curves.name + (data.nodes > 1 ? " on node " + curves.node : ""), index)));
const busiest = data.curves.map((curves, index) => [curves.name === "topic-" + spoken || story.includes(curves.partition) ? 1e9 : curves.log_end.length, index]);
if (busiest.length) $("partition").value = busiest.sort((a, b) => b[0] - a[0])[0][1];
$("partition").onchange = whole;
window.addEventListener("resize", draw);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
draw(); list(); batches();
