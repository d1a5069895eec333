// The strip and the stepping of a page: what the Debugger has, without a kernel.
// Every text of the log goes through textContent; nothing is read as HTML.
"use strict";
(() => {
  const log = JSON.parse(document.getElementById("wf-log").textContent);
  const root = document.getElementById("wf-stepping");
  const [N, ROW, WIDTH] = [log.time.length, 15, 1000];
  const at = name => root.querySelector("." + name);
  const text = (name, i) => log.words[log[name][i]];
  const kind = i => text("kind", i);
  const NS = at("wf-lanes").namespaceURI;
  const make = (tag, props = {}, ...inner) => {
    const node = document.createElement(tag);
    Object.assign(node, props);
    node.append(...inner);
    return node;
  };
  const shape = (tag, props, title) => {
    const node = document.createElementNS(NS, tag);
    for (const [name, value] of Object.entries(props)) node.setAttribute(name, value);
    if (title) {
      const inner = document.createElementNS(NS, "title");
      inner.textContent = title;
      node.append(inner);
    }
    return node;
  };
  let position = Math.min(1, N), timer = 0;

  const said = i => [
    "#" + log.seq[i], kind(i), text("resource", i), text("run", i), text("step", i),
    log.attempt[i] > 1 ? "attempt " + log.attempt[i] : "", text("text", i),
  ].filter(Boolean).join(" ");

  const TARGETS = {
    any: () => true,
    failure: i => /^(step\.failed|run\.failed|run\.interrupted|run\.quarantined)$/.test(kind(i))
      || /^(pass|check|hook)\.failed$/.test(kind(i)),
    crash: i => kind(i) === "controller.crashed",
    fault: i => kind(i) === "fault.fired",
    step: (i, here) => ["resource", "run", "step"].every(n => log[n][i] === log[n][here]),
    resource: (i, here) => log.resource[i] === log.resource[here],
  };

  function window_() {
    const zoom = +at("wf-zoom").value, wide = log.end / zoom;
    const time = position ? log.time[position - 1] : 0;
    const part = Math.min(Math.floor(time / wide), zoom - 1);
    return [part * wide, (part + 1) * wide];
  }

  function rows() {
    const wanted = at("wf-rows").value.trim().toLowerCase(), status = at("wf-status").value;
    const having = new Set(log.bars.filter(b => !status || log.words[b[3]] === status).map(b => b[0]));
    return log.rows.map((name, number) => [name, number]).filter(
      ([name, number]) => name.toLowerCase().includes(wanted) && (!status || having.has(number)));
  }

  function draw() {
    const [begin, end] = window_(), shown = rows(), places = new Map();
    shown.forEach(([, number], place) => places.set(number, place));
    const x = time => WIDTH * (time - begin) / (end - begin);
    const height = ROW * Math.max(shown.length, 1), svg = at("wf-lanes");
    svg.setAttribute("viewBox", `0 0 ${WIDTH} ${height}`);
    svg.setAttribute("height", height);
    svg.replaceChildren();
    for (const [since, until] of log.outages) {
      const left = Math.max(x(since), 0), right = Math.min(x(until ?? log.end), WIDTH);
      if (right > left) svg.append(shape("rect",
        { x: left, width: right - left, y: 0, height, class: "wf-gap" }));
    }
    for (const [number, from, to, word, step, attempt] of log.bars) {
      const status = log.words[word];
      if (!places.has(number) || to < begin || from > end) continue;
      const left = Math.max(x(from), 0), right = Math.min(x(to), WIDTH);
      svg.append(shape("rect", {
        x: left, width: Math.max(right - left, 2), y: ROW * places.get(number) + 2,
        height: ROW - 4, fill: log.colours[status] ?? "#8a8a8a", class: "wf-" + status,
      }, `${log.words[step]} attempt ${attempt}: ${status}`));
    }
    for (const time of log.crashes) if (time >= begin && time <= end) svg.append(
      shape("line", { x1: x(time), x2: x(time), y1: 0, y2: height, class: "wf-crash",
        "vector-effect": "non-scaling-stroke" }));
    const now = position ? log.time[position - 1] : 0;
    svg.append(shape("line", { x1: x(now), x2: x(now), y1: 0, y2: height, class: "wf-now",
      "vector-effect": "non-scaling-stroke" }));
    at("wf-names").replaceChildren(...shown.map(([name]) =>
      make("span", { textContent: name, title: name })));
    at("wf-axis").replaceChildren(...[0, 1, 2, 3, 4].map(n =>
      make("span", { textContent: +(begin + n / 4 * (end - begin)).toPrecision(5) + " s" })));
    return shown;
  }

  function stepsAt() {
    const here = position - 1, run = new Map();
    for (let i = here; i >= 0; i--) if (log.run[i] && text("resource", i) === text("resource", here)) {
      const [of, key] = [log.resource[i], log.run[i]];
      for (let j = 0; j <= here; j++) {
        if (log.resource[j] !== of || log.run[j] !== key || !log.step[j]) continue;
        const word = kind(j).replace("step.", "").replace("started", "running");
        if (word === "log") continue;
        const old = run.get(log.step[j]) ?? {};
        run.set(log.step[j], {
          status: word, attempt: log.attempt[j] || old.attempt,
          start: word === "running" ? log.time[j] : old.start,
          end: word === "running" ? null : log.time[j],
        });
      }
      return [log.words[of] + " " + log.words[key], run];
    }
    return ["no run yet", run];
  }

  function show() {
    position = Math.max(0, Math.min(N, position));
    const i = position - 1;
    at("wf-slider").value = position;
    at("wf-readout").textContent =
      `${position} / ${N}  ${(i < 0 ? 0 : log.time[i]).toFixed(3)} s`;
    const record = at("wf-record");
    record.replaceChildren();
    if (i < 0) record.append("before the first record");
    else {
      record.append(make("b", { textContent: `#${log.seq[i]}  ${log.time[i].toFixed(3)} s  ` }),
        make("code", { textContent: kind(i) }), " " + [text("resource", i), text("run", i),
          text("step", i), log.attempt[i] ? "attempt " + log.attempt[i] : ""]
          .filter(Boolean).join(" / "));
      if (log.text[i]) record.append(make("pre", { textContent: text("text", i) }));
      const parts = (log.changes[i] ?? []).map(number => log.words[number]);
      for (let n = 0; n < parts.length; n += 3) record.append(make("div", {
        className: "wf-change",
        textContent: parts[n] + (parts[n + 2] ? `: ${parts[n + 1]} → ${parts[n + 2]}` : ""),
      }));
    }
    const [title, run] = i < 0 ? ["no run yet", new Map()] : stepsAt();
    at("wf-run").textContent = title;
    at("wf-steps").replaceChildren(...[...run].map(([step, it]) => make("tr", {},
      ...[log.words[step],
        make("span", { className: "badge " + it.status, textContent: it.status }), it.attempt, it.start?.toFixed(3) ?? "",
        it.end == null || it.start == null ? "" : (it.end - it.start).toFixed(3)]
        .map(cell => make("td", {}, cell ?? "")))));
    const states = new Map();
    for (let j = 0; j <= i; j++) if (log.state[j]) states.set(log.resource[j], log.state[j]);
    const named = [...states].map(([of, state]) => [log.words[of], log.words[state]]);
    named.sort(([one], [other]) => one.localeCompare(other, "en", { numeric: true }));
    at("wf-states").replaceChildren(...named.map(([of, state]) =>
      make("span", { textContent: `${of} ${state}` })));
    const shown = draw(), strip = at("wf-strip");
    const row = i < 0 ? -1 : shown.findIndex(([name]) => name === log.words[log[log.by][i]]);
    const top = ROW * row;
    if (row >= 0 && (top < strip.scrollTop || top + 2 * ROW > strip.scrollTop + strip.clientHeight))
      strip.scrollTop = top - strip.clientHeight / 2;
  }

  function go(by) {
    const words = at("wf-search").value.trim().toLowerCase();
    const number = /^#(\d+)$/.exec(words), time = /^(\d+(?:\.\d*)?)( ?s)?$/.exec(words);
    if (number) position = 1 + log.seq.indexOf(+number[1]) || position;
    else if (time) position = log.time.filter(t => t <= +time[1]).length;
    else {
      const [target, here] = [TARGETS[at("wf-target").value], position - 1];
      const all = words.split(/\s+/).filter(Boolean);
      for (let i = here + by; i >= 0 && i < N; i += by)
        if (target(i, here) && all.every(w => said(i).toLowerCase().includes(w))) {
          position = i + 1;
          break;
        }
    }
    show();
  }

  function play() {
    if (timer) { clearInterval(timer); timer = 0; } else {
      const speed = +at("wf-speed").value;
      const [pause, step] = speed ? [1000 / speed, 1] : [100, Math.max(1, Math.floor(N / 200))];
      timer = setInterval(() => {
        position += step;
        show();
        if (position >= N) play();
      }, pause);
    }
    at("wf-play").textContent = timer ? "Pause" : "Play";
  }

  const on = (name, event, action) => at(name).addEventListener(event, action);
  on("wf-play", "click", play);
  on("wf-back", "click", () => { position--; show(); });
  on("wf-step", "click", () => { position++; show(); });
  on("wf-slider", "input", e => { position = +e.target.value; show(); });
  on("wf-previous", "click", () => go(-1));
  on("wf-next", "click", () => go(1));
  on("wf-search", "change", () => go(1));
  for (const name of ["wf-rows", "wf-status", "wf-zoom"]) on(name, "input", draw);
  on("wf-lanes", "click", e => {
    const box = at("wf-lanes").getBoundingClientRect(), [begin, end] = window_();
    const time = begin + (e.clientX - box.left) / box.width * (end - begin);
    position = log.time.filter(t => t <= time).length;
    const row = rows()[Math.floor((e.clientY - box.top) / ROW)];
    const of = i => log.words[log[log.by][i]] === row?.[0];
    for (let i = position - 1; row && i >= 0; i--) if (of(i)) { position = i + 1; break; }
    show();
  });
  const KEYS = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10, Home: -N, End: N };
  on("wf-lanes", "keydown", e => {
    if (!(e.key in KEYS)) return;
    e.preventDefault();
    position += KEYS[e.key];
    show();
  });
  for (const status of new Set(log.bars.map(bar => log.words[bar[3]])))
    at("wf-status").append(make("option", { value: status, textContent: status }));
  at("wf-slider").max = N;
  show();
})();
