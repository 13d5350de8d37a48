#!/usr/bin/env python3
"""Turns the rows that a side-by-side run printed into the tables and plots of docs/performance.md.

Each FILE.jsonl in the folder holds the rows of one run, as bench.py prints them. Figures of one run compare with each
other alone, so every plot is of one run: how long each tool took, as a multiple of mbsync's time.

    python3 test/bench/report.py docs/performance      # writes the plots, and the tables between the markers of docs/performance.md
"""
import json
import math
import re
import sys
from pathlib import Path

REFERENCE, OURS = "mbsync", "mailtwin"
COLOURS = {"mailtwin": "#1f6f8b", "mbsync": "#b0b0b0", "offlineimap": "#d98c4a"}


def rows_of(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines() if line.startswith("{")]


def by_scenario(rows: list[dict]) -> dict[str, dict[str, dict]]:
    table: dict[str, dict[str, dict]] = {}
    for row in rows:
        if "wall" in row:
            table.setdefault(row["scenario"], {})[row["tool"]] = row
    return table


def tools_of(table) -> list[str]:
    return list(dict.fromkeys(tool for cells in table.values() for tool in cells))


def markdown(name: str, table) -> str:
    """One run as a table: seconds and megabytes of each tool, and the ratio of ours to the reference."""
    tools = tools_of(table)
    n = next(iter(next(iter(table.values())).values()))
    lines = [f"**{name}** ({n['n']:,} messages" + (f", {n['rtt_ms']:g} ms round trips" if n["rtt_ms"] else "") + ")", ""]
    both = OURS in tools and REFERENCE in tools
    lines.append("| scenario | " + " | ".join(f"{t}: s / MB" for t in tools) + (" | ratio |" if both else " |"))
    lines.append("| --- |" + " --- |" * (len(tools) + both))
    for scenario, cells in table.items():
        parts = []
        for tool in tools:
            row = cells.get(tool)
            bad = "" if not row or (row["exit"] == 0 and "DIFFERENT" not in row.get("sides", "")) else " (!)"
            wire = f", {row['turns']} turns, {row['up_kb'] + row['down_kb']:.1f} kB" if row and "turns" in row else ""
            parts.append(f"{row['wall']:.3f} / {row['rss_mb']:.0f}{wire}{bad}" if row else "-")
        if both:
            ours, theirs = cells.get(OURS), cells.get(REFERENCE)
            parts.append(f"{ours['wall'] / theirs['wall']:.2f}" if ours and theirs and theirs["wall"] else "-")
        lines.append(f"| {scenario} | " + " | ".join(parts) + " |")
    return "\n".join(lines)


def svg(name: str, table) -> str:
    """Horizontal bars on a logarithmic scale; 1 is the reference's time."""
    tools = [t for t in tools_of(table) if t != REFERENCE]
    scenarios = [s for s, cells in table.items() if REFERENCE in cells]
    ratios = {(s, t): table[s][t]["wall"] / table[s][REFERENCE]["wall"] for s in scenarios for t in tools if t in table[s] and table[s][REFERENCE]["wall"]}
    if not ratios:
        return ""
    low, high = min(0.5, *ratios.values()), max(2.0, *ratios.values())
    low, high = 10 ** math.floor(math.log10(low)), 10 ** math.ceil(math.log10(high))
    left, width, bar, gap, top = 150, 520, 12, 10, 46
    step = bar * len(tools) + gap
    height = top + step * len(scenarios) + 30
    x = lambda v: left + width * (math.log10(v) - math.log10(low)) / (math.log10(high) - math.log10(low))
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + width + 60}" height="{height}" font-family="sans-serif" font-size="12">',
           '<rect width="100%" height="100%" fill="white"/>',
           f'<text x="{left}" y="18" font-size="14">{name}: time as a multiple of {REFERENCE}\'s (shorter is better)</text>']
    decade = low
    while decade <= high * 1.001:
        out.append(f'<line x1="{x(decade):.1f}" y1="{top - 8}" x2="{x(decade):.1f}" y2="{height - 26}" stroke="{"#444" if abs(decade - 1) < 1e-9 else "#ddd"}"/>')
        out.append(f'<text x="{x(decade):.1f}" y="{height - 10}" text-anchor="middle">{decade:g}</text>')
        decade *= 10
    for i, scenario in enumerate(scenarios):
        y = top + i * step
        out.append(f'<text x="{left - 8}" y="{y + step / 2 - 1:.1f}" text-anchor="end">{scenario}</text>')
        for k, tool in enumerate(tools):
            v = ratios.get((scenario, tool))
            if v is None:
                continue
            a, b = sorted((x(1), x(v)))
            out.append(f'<rect x="{a:.1f}" y="{y + k * bar}" width="{max(b - a, 1):.1f}" height="{bar - 2}" fill="{COLOURS.get(tool.split("-")[0], "#888")}"/>')
            out.append(f'<text x="{(b if v >= 1 else a) + (4 if v >= 1 else -4):.1f}" y="{y + k * bar + bar - 3}" text-anchor="{"start" if v >= 1 else "end"}" font-size="10">{v:.2f}</text>')
    out.append("</svg>")
    return "\n".join(out) + "\n"


def main():
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/performance")
    page = folder.with_suffix(".md")
    text = page.read_text()
    for path in sorted(folder.glob("*.jsonl")):
        table = by_scenario(rows_of(path))
        if not table:
            continue
        name = path.stem
        plot = svg(name, table)
        if plot:
            (folder / f"{name}.svg").write_text(plot)
        block = markdown(name, table) + (f"\n\n![{name}]({folder.name}/{name}.svg)" if plot else "")
        begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
        if begin not in text:
            raise SystemExit(f"{page} has no place for {name}: write the lines {begin} and {end}")
        text = re.sub(re.escape(begin) + ".*?" + re.escape(end), lambda _: f"{begin}\n\n{block}\n\n{end}", text, flags=re.S)
    page.write_text(text)


if __name__ == "__main__":
    main()
