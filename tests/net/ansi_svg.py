# SPDX-License-Identifier: GPL-2.0-only
"""A terminal's screen, as text with colours (tmux capture-pane -e -p), to an SVG picture.

Letters stay letters: they can be searched and copied. Block, Braille and box-drawing characters
are drawn, so that they join without a gap whatever fonts the reader has.
"""
import collections
import html
import re

WIDTH, HEIGHT, SIZE, PAD = 8.4, 18, 14, 12  # of a character, its font, and around it all
FONT = "ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, 'Liberation Mono', monospace"
BACKGROUND, FOREGROUND = "#14161b", "#d5d9e0"
PALETTE = ("#2a2e37 #e5534b #57ab5a #d6a13b #539bf5 #b083f0 #39c5cf #c3c9d3 "
           "#7d8590 #ff7b72 #7ee787 #f2cc60 #79c0ff #d2a8ff #56d4dd #ffffff").split()
ESCAPE = re.compile(r"\x1b\[([\d;]*)m|\x1b\[[\d;?]*[A-Za-z]|\x1b\].*?(?:\x07|\x1b\\)|[\x0e\x0f]")
ALTERNATE = str.maketrans("qxlkmjtuvwn~", "─│┌┐└┘├┤┴┬┼·")  # between SO and SI

# What a box-drawing character joins: up, right, down, left.
JOINTS = {"─": "rl", "│": "ud", "┌": "rd", "┐": "dl", "└": "ur", "┘": "ul", "├": "urd", "┤": "udl",
          "┬": "rdl", "┴": "url", "┼": "urdl", "╭": "rd", "╮": "dl", "╰": "ur", "╯": "ul",
          "━": "rl", "┃": "ud", "╴": "l", "╶": "r"}
BRAILLE = ((0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (0, 3), (1, 3))  # column, row by bit

Style = collections.namedtuple("Style", "fg bg bold dim reverse underline",
                               defaults=(None, None, False, False, False, False))


def colour256(n):
    if n < 16:
        return PALETTE[n]
    if n >= 232:
        return "#" + f"{8 + (n - 232) * 10:02x}" * 3
    levels = (0, 95, 135, 175, 215, 255)
    n -= 16
    return "#" + "".join(f"{levels[n // d % 6]:02x}" for d in (36, 6, 1))


def styled(style, codes):
    """The style after ESC [ codes m."""
    codes = [int(c or 0) for c in codes.split(";")]
    while codes:
        c = codes.pop(0)
        if c == 0:
            style = Style()
        elif c in (38, 48) and len(codes) >= 2:
            kind = codes.pop(0)
            if kind == 5:
                colour = colour256(codes.pop(0) & 255)
            else:
                colour, codes = "#" + "".join(f"{v & 255:02x}" for v in codes[:3]), codes[3:]
            style = style._replace(**{"fg" if c == 38 else "bg": colour})
        elif 30 <= c <= 37 or 90 <= c <= 97:
            style = style._replace(fg=PALETTE[c - 30 if c < 90 else c - 82])
        elif 40 <= c <= 47 or 100 <= c <= 107:
            style = style._replace(bg=PALETTE[c - 40 if c < 100 else c - 92])
        elif c in SWITCHES:
            style = style._replace(**SWITCHES[c])
    return style


SWITCHES = {1: {"bold": True}, 2: {"dim": True}, 4: {"underline": True}, 7: {"reverse": True},
            22: {"bold": False, "dim": False}, 24: {"underline": False}, 27: {"reverse": False},
            39: {"fg": None}, 49: {"bg": None}}


def cells(screen):
    """(row, column, character, style) of everything on the screen. Styles go over line ends."""
    style, alternate = Style(), False
    for row, line in enumerate(screen.split("\n")):
        column = at = 0
        while at < len(line):
            if found := ESCAPE.match(line, at):
                if found[0] in "\x0e\x0f":
                    alternate = found[0] == "\x0e"
                elif found[1] is not None:
                    style = styled(style, found[1])
                at = found.end()
                continue
            char = line[at].translate(ALTERNATE) if alternate else line[at]
            yield row, column, char, style
            column, at = column + 1, at + 1


def number(value):
    return f"{value:.2f}".rstrip("0").rstrip(".")


def box(x, y, w, h):
    return f"M{number(x)} {number(y)}h{number(w)}v{number(h)}h-{number(w)}z"


def shape(char, x, y):
    """A path for what is drawn, or None for a letter."""
    n = ord(char)
    if 0x2581 <= n <= 0x2588:  # lower eighths
        part = HEIGHT * (n - 0x2580) / 8
        return box(x, y + HEIGHT - part, WIDTH, part)
    if 0x2589 <= n <= 0x258f:  # left eighths
        return box(x, y, WIDTH * (0x2590 - n) / 8, HEIGHT)
    if char == "▀":
        return box(x, y, WIDTH, HEIGHT / 2)
    if 0x2800 <= n <= 0x28ff:
        return "".join(box(x + WIDTH * (0.14 + 0.5 * c), y + HEIGHT * (0.06 + 0.25 * r), 2, 2)
                       for bit, (c, r) in enumerate(BRAILLE) if n >> bit & 1)
    if char == "╌":
        return "".join(box(x + WIDTH * part, y + HEIGHT / 2 - 0.5, WIDTH * 0.3, 1)
                       for part in (0.1, 0.6))
    if char not in JOINTS:
        return None
    middle, centre, thick = x + WIDTH / 2, y + HEIGHT / 2, 2 if char in "━┃" else 1
    arms = {"u": (middle - thick / 2, y, thick, HEIGHT / 2 + thick / 2),
            "d": (middle - thick / 2, centre - thick / 2, thick, HEIGHT / 2 + thick / 2),
            "l": (x, centre - thick / 2, WIDTH / 2 + thick / 2, thick),
            "r": (middle - thick / 2, centre - thick / 2, WIDTH / 2 + thick / 2, thick)}
    return "".join(box(*arms[a]) for a in JOINTS[char])


def colours(style):
    """Foreground, background or None."""
    fg, bg = style.fg or FOREGROUND, style.bg
    if style.reverse:
        fg, bg = bg or BACKGROUND, fg
    return fg, bg


def runs(found):
    """Neighbours of one style, joined: (row, column, text, style)."""
    run = None
    for row, column, char, style in found:
        if run and run[0] == row and run[1] + len(run[2]) == column and run[3] == style:
            run[2] += char
            continue
        if run:
            yield run
        run = [row, column, char, style]
    if run:
        yield run


def letters(row, column, text, style):
    """<text> elements; wide gaps are left out."""
    attributes = f' fill="{colours(style)[0]}"'
    attributes += ' font-weight="bold"' * style.bold + ' opacity=".6"' * style.dim
    attributes += ' text-decoration="underline"' * style.underline
    for part in re.finditer(r"\S+(?: \S+)*", text):
        x = PAD + (column + part.start()) * WIDTH
        y = PAD + row * HEIGHT + HEIGHT * 0.74
        yield (f'<text x="{number(x)}" y="{number(y)}" textLength="{number(len(part[0]) * WIDTH)}"'
               f'{attributes}>{html.escape(part[0], quote=False)}</text>')


def svg(screen, columns, rows, title):
    """The picture, as a file's text."""
    found = [c for c in cells(screen) if c[0] < rows and c[1] < columns]
    behind, drawn = collections.defaultdict(str), collections.defaultdict(str)
    text = []
    for row, column, part, style in runs(found):
        x, y = PAD + column * WIDTH, PAD + row * HEIGHT
        fg, bg = colours(style)
        if bg:
            behind[bg] += box(x, y, len(part) * WIDTH, HEIGHT)
        paths = [shape(c, x + n * WIDTH, y) for n, c in enumerate(part)]
        drawn[fg, style.dim] += "".join(filter(None, paths))
        text += letters(row, column, "".join(" " if p else c for c, p in zip(part, paths)), style)
    width, height = columns * WIDTH + 2 * PAD, rows * HEIGHT + 2 * PAD
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{number(width)}" height="{number(height)}"'
        f' viewBox="0 0 {number(width)} {number(height)}" role="img">',
        "<!-- SPDX-License-Identifier: GPL-2.0-only -->",
        f"<title>{html.escape(title)}</title>",
        f'<rect width="100%" height="100%" rx="8" fill="{BACKGROUND}"/>',
        *(f'<path fill="{c}" d="{d}"/>' for c, d in behind.items()),
        *(f'<path fill="{c}"{" opacity=" + chr(34) + ".6" + chr(34) if dim else ""} d="{d}"/>'
          for (c, dim), d in drawn.items() if d),
        f'<g font-family="{FONT}" font-size="{SIZE}" xml:space="preserve">', *text,
        "</g>", "</svg>"]
    return "\n".join(lines) + "\n"
