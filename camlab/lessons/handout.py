"""A lesson's handout: one self-contained HTML file whose print style fits it on one A4 page."""

from collections.abc import Sequence
from html import escape

from camlab.drawing.pictures import data_url
from camlab.explore.output.pair_html import credit
from camlab.lessons.base import Lesson, Setting, Sheet

MOST_FIGURES = 4
#: A4 with margins; the screen shows the page as it prints. The file loads nothing from the network.
_STYLE = """
@page{size:A4;margin:12mm}*{box-sizing:border-box}
body{font:9.6pt/1.36 system-ui,"DejaVu Sans",sans-serif;color:#1c2330;background:#fff;max-width:186mm;margin:8mm auto}
@media print{body{margin:0}.screen{display:none}}
h1{font-size:16pt;margin:0}h2{font-size:10.6pt;margin:3mm 0 1mm}p,ul,ol{margin:.8mm 0}ul,ol{padding-left:5mm}
.top{display:flex;justify-content:space-between;align-items:baseline}
.top{border-bottom:.4mm solid #1c2330;padding-bottom:1.5mm}
.figures{display:flex;gap:4mm;margin:2.5mm 0}.figures figure{margin:0;flex:1 1 0;min-width:0;max-width:52mm}
.figures img{width:100%;display:block;border:.2mm solid #8a8f98}
figcaption{font-size:7.8pt;line-height:1.2;margin-top:.8mm}
.formula{font-size:10.4pt;margin:1.2mm 0 .4mm}.box{border:.3mm solid #1c2330;padding:2mm 3mm;break-inside:avoid}
.lines{height:6.4mm;border-bottom:.2mm solid #8a8f98}
.small{font-size:7.4pt;line-height:1.25;color:#454b57}
.small p{margin:.4mm 0}.box li{list-style:none}
.box ul{padding:0;display:grid;grid-template-columns:1fr 1fr;gap:.5mm 4mm}
"""


def handout(lesson: Lesson, setting: Setting, sheet: Sheet, link: str, answers: bool = True) -> str:
    """Return the lesson's one-page handout as HTML.

    link: opens the lesson with this picture and these settings; answers: print the measurements and the right
    answer, otherwise lines to write on.
    """
    state = setting.state
    parts = [
        f'<div class="top"><h1>{lesson.number} · {escape(lesson.title)}</h1>'
        f"<span>CAM Lab · {lesson.minutes} minutes</span></div>",
        f"<p>{escape(lesson.intro)}</p>",
        _figures(sheet, answers),
        f"<h2>Do this</h2>{_list('ol', lesson.steps)}",
        *(f'<p class="formula">{escape(f.plain)}</p><p class="small">{escape(f.words)}</p>' for f in lesson.formulas),
        f"<h2>{'Measured' if answers else 'What do you see?'}</h2>"
        + (_list("ul", sheet.observations) if answers else '<div class="lines"></div>' * 3),
        _question(sheet, answers),
        f'<div class="small"><p>{escape(f"Model {state.model}, picture {state.image}")} · {escape(link)}</p>'
        f"<p>Sources: {'; '.join(escape(f'{s.who}, {s.title}, {s.address}') for s in lesson.sources)}</p>"
        f"{credit(setting.picture)}</div>",
    ]
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(lesson.title)} · CAM Lab</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head>'
        f"<body>{''.join(parts)}</body></html>"
    )


def _figures(sheet: Sheet, answers: bool) -> str:
    # Titles can reveal the results: without answers, figures are only numbered.
    shown = sheet.figures[:MOST_FIGURES]
    cells = "".join(
        f'<figure><img src="{data_url(f.picture)}" alt="{escape(f.alt if answers else f"Picture {i}", quote=True)}">'
        f"<figcaption>{escape(f.title if answers else f'Picture {i}')}</figcaption></figure>"
        for i, f in enumerate(shown, 1)
    )
    return f'<div class="figures">{cells}</div>'


def _question(sheet: Sheet, answers: bool) -> str:
    asked = sheet.question
    options = "".join(
        f"<li>{'☑' if answers and i == asked.right else '☐'} {escape(option)}</li>"
        for i, option in enumerate(asked.options)
    )
    because = f"<p>{escape(asked.because)}</p>" if answers else ""
    return f'<div class="box"><b>Question.</b> {escape(asked.text)}<ul>{options}</ul>{because}</div>'


def _list(tag: str, lines: Sequence[str]) -> str:
    return f"<{tag}>{''.join(f'<li>{escape(line)}</li>' for line in lines)}</{tag}>"
