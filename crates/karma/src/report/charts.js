// Draws the series of the page with uPlot, keeps tabs, chips and theme in step with them.
(() => {
  "use strict";
  const data = JSON.parse(document.getElementById("data").textContent);
  const DASH = {
    hpa_calibrated: [6, 3],
    static: [2, 3],
    best_constant: [10, 3, 2, 3],
    affordable_constant: [4, 2],
  };
  const END_LABEL_PX = 74;
  const known = new Map(data.contenders.map((line) => [line.key, line]));
  const shown = new Set(data.contenders.filter((line) => line.shown).map((line) => line.key));
  const built = new Map(); // host element -> { plot, spec }

  const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  const element = (tag, className, text) => {
    const made = document.createElement(tag);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  };
  const all = (selector) => [...document.querySelectorAll(selector)];
  const clock = (s) => `${Math.floor(s / 60)}:${String(Math.round(s % 60)).padStart(2, "0")}`;
  const short = (value) => {
    const size = Math.abs(value);
    const digits = size >= 100 || Number.isInteger(value) ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3;
    return String(Number(value.toFixed(digits))).replace("-", "−");
  };

  // As many decimals as tell neighboring ticks apart.
  const tickText = (tick, step) => {
    const digits = Math.max(0, Math.ceil(-Math.log10(step) + (/[1-9]5/.test(String(step)) ? 1 : 0) - 1e-9));
    return String(Number(tick.toFixed(digits))).replace("-", "−");
  };

  // A diagonal hatch, so that an attack is told by more than its color.
  const hatch = (context, stroke) => {
    const size = 7 * devicePixelRatio;
    const tile = document.createElement("canvas");
    tile.width = tile.height = size;
    const pen = tile.getContext("2d");
    pen.strokeStyle = stroke;
    pen.lineWidth = 1.6 * devicePixelRatio;
    pen.beginPath();
    for (const shift of [-size, 0, size]) {
      pen.moveTo(shift, size);
      pen.lineTo(shift + size, 0);
    }
    pen.stroke();
    return context.createPattern(tile, "repeat");
  };

  const shading = (shades) => (plot) => {
    const { ctx, bbox } = plot;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    for (const shade of shades) {
      const from = plot.valToPos(shade.from_s, "x", true);
      const to = plot.valToPos(shade.to_s, "x", true);
      ctx.fillStyle = shade.attack ? hatch(ctx, color("hatch")) : color("shade");
      ctx.fillRect(from, bbox.top, to - from, bbox.height);
    }
    ctx.restore();
  };

  // A horizontal line with its name, such as the SLO.
  const threshold = (limit) => (plot) => {
    if (!limit) return;
    const { ctx, bbox } = plot;
    const y = plot.valToPos(limit.value, "y", true);
    if (y < bbox.top || y > bbox.top + bbox.height) return;
    ctx.save();
    ctx.strokeStyle = ctx.fillStyle = color("muted");
    ctx.lineWidth = devicePixelRatio;
    ctx.setLineDash([3 * devicePixelRatio, 3 * devicePixelRatio]);
    ctx.beginPath();
    ctx.moveTo(bbox.left, y);
    ctx.lineTo(bbox.left + bbox.width, y);
    ctx.stroke();
    ctx.font = `${11 * devicePixelRatio}px sans-serif`;
    ctx.textAlign = "left";
    ctx.textBaseline = "alphabetic";
    ctx.fillText(limit.name, bbox.left + 4 * devicePixelRatio, y - 4 * devicePixelRatio);
    ctx.restore();
  };

  // Names at the ends of the lines, pushed apart where they would overlap.
  const endLabels = (spec) => (plot) => {
    const { ctx, bbox } = plot;
    const gap = 13 * devicePixelRatio;
    const labels = [];
    spec.series.forEach((series, index) => {
      if (!series.short || !plot.series[index + 1].show) return;
      const values = plot.data[index + 1];
      let last = values.length - 1;
      while (last >= 0 && values[last] == null) last -= 1;
      if (last < 0) return;
      labels.push({ text: series.short, stroke: color(series.color), y: plot.valToPos(values[last], "y", true) });
    });
    labels.sort((a, b) => a.y - b.y);
    labels.forEach((label, index) => {
      if (index > 0) label.y = Math.max(label.y, labels[index - 1].y + gap);
    });
    const over = labels.length ? labels.at(-1).y - (bbox.top + bbox.height) : 0;
    for (const [index, label] of [...labels.entries()].reverse()) {
      if (over > 0) label.y = Math.min(label.y, bbox.top + bbox.height - (labels.length - 1 - index) * gap);
      ctx.save();
      ctx.fillStyle = label.stroke;
      ctx.font = `600 ${11 * devicePixelRatio}px sans-serif`;
      ctx.textAlign = "left";
      ctx.textBaseline = "middle";
      ctx.fillText(label.text, bbox.left + bbox.width + 6 * devicePixelRatio, label.y);
      ctx.restore();
    }
  };

  const tooltip = (spec, host) => {
    const tip = element("div", "tip");
    tip.hidden = true;
    return {
      init: (plot) => plot.over.append(tip),
      setCursor: (plot) => {
        const index = plot.cursor.idx;
        const isHere = plot.over.matches(":hover") || document.activeElement === host;
        tip.hidden = index == null || !isHere || plot.cursor.left < 0;
        if (tip.hidden) return;
        tip.replaceChildren(element("b", "", spec.xName(plot.data[0][index])));
        spec.series.forEach((series, number) => {
          if (!plot.series[number + 1].show) return;
          const value = (series.raw || series.values)[index];
          if (value == null) return;
          const row = element("div", "", `${series.name} ${short(value)}${spec.unit || ""}`);
          const dot = element("i");
          dot.style.background = color(series.color);
          row.prepend(dot);
          tip.append(row);
        });
        const isRight = plot.cursor.left > plot.over.clientWidth / 2;
        tip.style.left = isRight ? "" : `${plot.cursor.left + 14}px`;
        tip.style.right = isRight ? `${plot.over.clientWidth - plot.cursor.left + 14}px` : "";
        tip.style.top = "4px";
      },
    };
  };

  const axis = (extra) => ({
    stroke: color("muted"),
    font: "11px sans-serif",
    grid: { stroke: color("faint"), width: 1 },
    ticks: { show: false },
    ...extra,
  });

  const options = (spec, host) => {
    const tip = tooltip(spec, host);
    const hasLabels = spec.series.some((series) => series.short);
    return {
      width: Math.max(host.clientWidth, 200),
      height: spec.height,
      padding: [10, hasLabels ? END_LABEL_PX : 22, 0, 0],
      legend: { show: false },
      cursor: {
        drag: { x: false, y: false },
        y: false,
        points: { size: 6 },
        ...(spec.sync ? { sync: { key: spec.sync, setSeries: false } } : {}),
      },
      scales: { x: { time: false }, y: spec.log ? { distr: 3 } : { range: spec.range } },
      axes: [
        axis({ incrs: spec.xIncrements, values: (_, ticks) => ticks.map(spec.xTick), size: 26, space: 44 }),
        axis({
          // As wide as the longest number.
          size: (_, texts) => Math.max(42, 14 + 6.2 * Math.max(0, ...(texts ?? []).map((text) => text.length))),
          space: 26,
          ...(spec.log ? {} : { values: (_, ticks, __, ___, step) => ticks.map((tick) => (tick == null ? "" : tickText(tick, step))) }),
          ...(spec.yIncrements ? { incrs: spec.yIncrements } : {}),
        }),
      ],
      series: [
        {},
        ...spec.series.map((series) => ({
          label: series.name,
          show: !series.key || shown.has(series.key),
          stroke: color(series.color),
          width: series.width ?? (series.key === "team" ? 2.5 : 1.75),
          dash: series.dash,
          fill: series.fill && ((plot) => series.fill(plot.ctx)),
          paths: series.step ? uPlot.paths.stepped({ align: spec.stepAlign ?? -1 }) : undefined,
          points: { show: series.points ?? false, size: 5 },
          spanGaps: series.spanGaps ?? false,
        })),
      ],
      hooks: {
        init: [tip.init],
        drawClear: [shading(spec.shades || [])],
        draw: [threshold(spec.limit), endLabels(spec)],
        setCursor: [tip.setCursor],
      },
    };
  };

  const resizes = new ResizeObserver((entries) => {
    for (const { target } of entries) {
      const made = built.get(target);
      if (made && target.clientWidth > 0 && target.clientWidth !== made.plot.width) {
        made.plot.setSize({ width: target.clientWidth, height: made.spec.height });
      }
    }
  });

  const draw = (host, spec) => {
    built.get(host)?.plot.destroy();
    const plot = new uPlot(options(spec, host), [spec.x, ...spec.series.map((s) => s.values)], host);
    built.set(host, { plot, spec });
  };

  const step = (host, by) => {
    const { plot } = built.get(host);
    const now = plot.cursor.idx ?? (by > 0 ? -1 : plot.data[0].length);
    const next = Math.min(Math.max(now + by, 0), plot.data[0].length - 1);
    plot.setCursor({ left: plot.valToPos(plot.data[0][next], "x"), top: 8 });
  };

  const chart = (card, spec) => {
    if (spec.title) card.append(element("h4", "", spec.title));
    if (spec.note !== undefined) card.append(element("p", "chart-note", spec.note));
    const host = element("div", "chart");
    host.tabIndex = 0;
    host.setAttribute("role", "img");
    host.setAttribute("aria-label", spec.label || `${spec.title}. ${spec.note}`);
    host.addEventListener("keydown", (event) => {
      const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!by) return;
      event.preventDefault();
      step(host, by);
    });
    host.addEventListener("blur", () => built.get(host).plot.setCursor({ left: -10, top: -10 }));
    card.append(host);
    draw(host, spec);
    resizes.observe(host);
  };

  // --- One context's episode -------------------------------------------------------------------

  const overTime = (context) => {
    const outside = context.disturbance ? [context.disturbance] : [];
    return {
      x: context.time,
      xTick: (s) => `${s / 60} min`,
      xIncrements: [60, 120, 300, 600, 900, 1800, 3600, 7200, 14400],
      xName: clock,
      sync: `context ${context.name}`,
      shades: [...outside, ...context.attacks.map((span) => ({ ...span, attack: true }))],
    };
  };

  const byContender = (tracks, values, extra) =>
    tracks.map((track) => ({
      key: track.key,
      name: known.get(track.key).title,
      short: known.get(track.key).short,
      color: track.key,
      dash: DASH[track.key],
      values: values(track),
      ...extra,
    }));

  const load = (context) => {
    const total = context.legit.map((rate, index) => rate + context.attack[index]);
    const attacked = context.attack.some((rate) => rate > 0);
    const legit = {
      name: "users",
      color: "legit",
      values: context.legit,
      width: 1.5,
      fill: () => color("legit"),
    };
    const attack = {
      name: "attack",
      color: "attack",
      values: total,
      raw: context.attack,
      width: 1.5,
      fill: (ctx) => hatch(ctx, color("attack")),
    };
    return {
      ...overTime(context),
      title: "Load",
      note: attacked ? "Requests/s: users solid, attack hatched on top" : "Requests/s of users",
      height: 190,
      range: (_, __, max) => [0, max * 1.08],
      series: attacked ? [attack, legit] : [legit],
    };
  };

  const panels = {
    users: (context) => [
      [load(context)],
      [
        {
          ...overTime(context),
          title: "Success",
          note: "Requests of users answered in time, %",
          height: 190,
          unit: " %",
          range: (_, min) => [Math.max(0, Math.floor(Math.min(min ?? 95, 95)) - 2), 101],
          series: byContender(context.users, (user) => user.success),
        },
      ],
      [
        {
          ...overTime(context),
          title: "p95, end to end",
          note: "ms, logarithmic",
          height: 190,
          unit: " ms",
          log: true,
          limit: { value: context.slo_ms, name: "SLO" },
          series: byContender(context.users, (user) => user.p95),
        },
      ],
    ],
    services: (context) =>
      context.services.map((service) => [
        {
          ...overTime(context),
          title: `Service ${service.name}`,
          note: "Ready replicas",
          label: `Service ${service.name}. ${service.words}`,
          height: 170,
          range: (_, __, max) => [0, Math.max(2, max) * 1.08],
          yIncrements: [1, 2, 3, 5, 10, 20, 50, 100],
          series: byContender(service.tracks, (track) => track.ready, { step: true }),
        },
        {
          ...overTime(context),
          note: "p95 of the service, ms, logarithmic",
          label: `p95 of service ${service.name} over time`,
          height: 130,
          unit: " ms",
          log: true,
          series: byContender(service.tracks, (track) => track.p95),
        },
      ]),
  };

  const fill = (grid, cards) => {
    for (const specs of cards) {
      const card = element("div", "chart-card");
      grid.append(card);
      for (const spec of specs) chart(card, spec);
    }
  };

  const show = (name) => {
    for (const panel of all("[data-panel]")) {
      panel.hidden = panel.dataset.panel !== name;
      if (!panel.hidden) open(panel);
    }
  };

  const open = (panel) => {
    if (panel.dataset.built) return;
    panel.dataset.built = "yes";
    const context = data.contexts.find((c) => c.name === panel.dataset.panel);
    for (const grid of panel.querySelectorAll("[data-charts]")) {
      fill(grid, panels[grid.dataset.charts](context));
    }
  };

  // --- Learning curves -------------------------------------------------------------------------

  const learning = (curve) => {
    const looks = [
      { color: "team" },
      { color: "hpa_shipped", dash: [6, 3] },
      { color: "best_constant", dash: [2, 3] },
    ];
    return {
      title: curve.title,
      note: curve.note,
      height: 180,
      x: curve.x,
      xTick: (iteration) => String(iteration),
      xName: (iteration) => `iteration ${iteration}`,
      series: curve.series.map((series, index) => ({
        name: series.name,
        short: curve.series.length > 1 ? series.name : undefined,
        values: series.values,
        spanGaps: true,
        points: series.values.filter((value) => value != null).length < 12,
        width: 1.75,
        ...looks[index % looks.length],
      })),
    };
  };

  // --- Demonstrations --------------------------------------------------------------------------

  const DASHES = [undefined, [7, 3], [2, 3], [10, 3, 2, 3], [4, 2], [1, 3]];
  const decisions = (strip) => ({
    stepAlign: 1,
    note: "Desired replicas; gray where the fallback decides",
    height: 150,
    x: strip.x,
    xTick: (s) => `${s / 60} min`,
    xIncrements: [60, 120, 300, 600, 900, 1800, 3600],
    xName: clock,
    shades: strip.spans,
    range: (_, __, max) => [0, Math.max(2, max) * 1.08],
    yIncrements: [1, 2, 3, 5, 10, 20, 50, 100],
    label: `Desired replicas of ${strip.series.map((s) => s.name).join(", ")}`,
    series: strip.series.map((series, index) => ({
      name: series.name,
      short: series.name,
      color: "ink",
      dash: DASHES[index % DASHES.length],
      values: series.values,
      step: true,
    })),
  });

  // --- Controls --------------------------------------------------------------------------------

  const press = (buttons, pressed) => {
    for (const button of buttons) button.setAttribute("aria-pressed", String(button === pressed));
  };

  const contextTabs = all("[data-context]");
  for (const tab of contextTabs) {
    tab.addEventListener("click", () => {
      press(contextTabs, tab);
      show(tab.dataset.context);
    });
  }

  const tableTabs = all("[data-table]");
  for (const tab of tableTabs) {
    tab.addEventListener("click", () => {
      press(tableTabs, tab);
      for (const panel of all("[data-table-panel]")) panel.hidden = panel.dataset.tablePanel !== tab.dataset.table;
    });
  }

  for (const chip of all("[data-line]")) {
    chip.addEventListener("click", () => {
      const key = chip.dataset.line;
      if (!shown.delete(key)) shown.add(key);
      chip.setAttribute("aria-pressed", String(shown.has(key)));
      for (const { plot, spec } of built.values()) {
        spec.series.forEach((series, index) => {
          if (series.key === key) plot.setSeries(index + 1, { show: shown.has(key) });
        });
      }
    });
  }

  const redraw = () => {
    for (const [host, { spec }] of [...built]) draw(host, spec);
  };
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);

  // Paper is white, whatever the screen is.
  const root = document.documentElement;
  addEventListener("beforeprint", () => {
    root.classList.add("printing");
    redraw();
    for (const panel of all("[data-panel]")) {
      panel.hidden = false;
      open(panel);
    }
  });
  addEventListener("afterprint", () => {
    root.classList.remove("printing");
    redraw();
    const pressed = contextTabs.find((tab) => tab.getAttribute("aria-pressed") === "true");
    if (pressed) show(pressed.dataset.context);
  });

  const links = new Map(all(".toc a").map((link) => [link.hash.slice(1), link]));
  const sections = all("main > section");
  const mark = () => {
    const reached = sections.filter((section) => section.getBoundingClientRect().top < innerHeight / 3).at(-1);
    for (const [id, link] of links) {
      if (id === reached?.id) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
  };
  addEventListener("scroll", mark, { passive: true });
  mark();

  if (data.contexts.length) show(data.contexts[0].name);
  for (const grid of all('[data-charts="decisions"]')) chart(grid, decisions(data.decisions[Number(grid.dataset.strip)]));
  for (const grid of all('[data-charts="learning"]')) fill(grid, data.learning.map((curve) => [learning(curve)]));
})();
