"""docs/performance.svg: what a message, a login, a stored message and a session cost, as bars beside each other.

Each panel has a scale of its own that ends with its longest bar. Nothing here knows a server or a measure by name.
"""
from html import escape

WIDTH, NAME, BAR, ROW, HEAD, GAP = 720, 150, 440, 22, 34, 16
OURS, THEIRS, INK, QUIET = '#1f6f8b', '#b8c0c8', '#1b1f24', '#59636e'


def panel(y, title, unit, values):
    """(SVG, height): `values` are (name, number, is it ours), the least first."""
    longest = max(number for _, number, _ in values)
    out = [f'<text x="20" y="{y + 20}" class="title">{escape(title)}, {escape(unit)}</text>']
    for i, (name, number, ours) in enumerate(sorted(values, key=lambda v: v[1])):
        top = y + HEAD + i * ROW
        width = max(2, BAR * number / longest)
        out.append(f'<text x="{NAME - 8}" y="{top + 14}" class="name">{escape(name)}</text>'
                   f'<rect x="{NAME}" y="{top + 2}" width="{width:.1f}" height="{ROW - 6}" rx="2" '
                   f'fill="{OURS if ours else THEIRS}"/>'
                   f'<text x="{NAME + width + 6:.1f}" y="{top + 14}" class="number">{number:,.{0 if number >= 100 else 1}f}</text>')
    return '\n'.join(out), HEAD + len(values) * ROW + GAP


def svg(panels):
    """`panels`: (title, unit, values as of panel()); those with fewer than two values are left out."""
    y, parts = 8, []
    for title, unit, values in panels:
        if len(values) < 2:
            continue
        part, height = panel(y, title, unit, values)
        parts.append(part)
        y += height
    return f'''<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y}" viewBox="0 0 {WIDTH} {y}" role="img">
<style>
text {{ font: 13px system-ui, sans-serif; fill: {INK}; }}
.title {{ font-weight: 600; }}
.name {{ text-anchor: end; fill: {QUIET}; }}
.number {{ fill: {QUIET}; }}
</style>
<rect width="{WIDTH}" height="{y}" fill="#ffffff"/>
{chr(10).join(parts)}
</svg>
'''
