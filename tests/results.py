"""What in a text looks like a result: the forms of numbers and of shares in words, and the prose they are sought in."""

import re

MARK = r"[*_]*<!-- claim: (?P<name>\w+) -->"
DIGITS = r"(?:\d+(?:,\d{3})*(?:\.\d+)?|(?<![\w.\])])\.\d+)(?:e[-−+]?\d+)?"
NUMBER = rf"(?:(?<![\w.])[-+−])?{DIGITS}"
SHORT = r"(?:s|ms|µs|kB|MB|GB|pp)"
MORE = r"(?:as|the|more|less|fewer|(?!after|over|under)\w+er)\b"  # behind "times": 30 times as long, 3 times longer
UNIT = (
    rf" ?(?:%|per ?cent\b|(?:percentage )?points?\b|nats?\b|(?:milli)?seconds?\b|{SHORT}\b|times\b|× ?{MORE}|-?fold\b)"
)
PHRASE = (
    rf"{NUMBER}(?:{UNIT})?(?: ?(?:±|–|to|and|of|out of|in) ?{NUMBER})*(?:{UNIT})?(?:{MARK})?"  # what one mark is about
)

_ONES = "one|two|three|four|five|six|seven|eight|nine"
_TENS = "twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety"
_TEENS = "ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen|eighteen|nineteen"
WORD = rf"(?:(?:{_TENS})(?:-(?:{_ONES}))?|{_TEENS}|{_ONES}|hundred|thousand)"
ANY = rf"(?:\b{WORD}|(?<![\w.,]){DIGITS})"
WHOLE = r"(?:a|every|the|its|their|our|all|these|those)"
THING = r"(?:\w+ )?(?:images?|digits?|drawings?|answers?|cases?|networks?|times|examples?)"
FRACTION = r"(?:half|third|quarter|fifth|sixth|seventh|eighth|ninth|tenth|hundredth|thousandth)"
WRONG = r"(?:mistakes?|errors?|wrong|misread|missed|right|correct)"
SPELLED = [  # results without a decimal point or a unit in digits
    rf"{ANY}(?: {THING})? (?:(?:out )?of|in)(?: {WHOLE})* {ANY}\b(?! ×)",  # 234 of 10,000, nine of the ten
    r"\d+/\d+ of\b|\bevery (?:second|third|fourth|fifth|tenth|hundredth)\b",
    rf"\b{WORD} (?:per ?cent|(?:percentage )?points?|nats?|(?:milli)?seconds?)\b|\b(?:a|half a) percentage point\b",
    r"\bhalf a (?:per ?cent|point|nat|second|millisecond)\b",
    rf"\b{WORD} times {MORE}|\b(?:twice|thrice)\b|\b{WORD}fold\b|\b(?:doubled?s?|tripled?s?|halve[ds]?)\b",
    rf"\b{FRACTION} (?:as|of|the|its|their|that|what)\b|\bby (?:a |one )?{FRACTION}\b",
    r"\b(?:thirds|quarters|fifths|tenths|hundredths|thousandths)\b",
    rf"{ANY} (?:\w+ )?(?:(?:is|are|was|were) )?{WRONG}\b",  # 44 mistakes, two are wrong, 12 images were missed
    rf"\ba (?:hundred|thousand|dozen) {THING}\b|\bby a factor of {ANY}\b|\d×(?! ?\d)",
    rf"\b(?:accuracy|loss|gap|error rate) (?:is |was |of |at |to )+(?:about |nearly |minus )*{ANY}",
]
LOOKS = rf"(?<![\w.])\.\d|\d\.\d|\d(?:e[-−+]?\d+)?{UNIT}|\de[-−+]?\d"  # a phrase of this kind is a result

PLAIN = rf"`(?=[^`\n]*\d)[^`\n\w]*{NUMBER}(?:{UNIT})?(?: ?(?:±|–|to|and) ?{NUMBER})*(?:{UNIT})?`"  # no code: `98.1 %`
NO_TEXT = [r"(?s)```.*?```", r"`[^`\n]*`"]  # code
NO_TEXT += [r"(?<=\])\(.*?\)", r"https?://\S+"]  # addresses
COMMENT = r"(?m)(?:^|\s)#+ (.+)$"


def prose(text):
    """The headings, sentences and tables alone: no code but its comments, no addresses; one space between words."""
    text = re.sub(PLAIN, lambda number: number[0].strip("`"), text)
    text = re.sub(r"(?s)```\w*\n.*?```", lambda code: comments(code[0]), text)
    for pattern in NO_TEXT:
        text = re.sub(pattern, " ", text)
    return " ".join(text.split())


def comments(code):
    """The comments of some code, one a line."""
    return "\n".join(re.findall(COMMENT, code))


def without(text, reasons):
    """The text with "…" for what the patterns match in it."""
    kept = list(text)
    for pattern in reasons:
        for match in re.finditer(whole(pattern), text):
            kept[match.start() : match.end()] = "…" + "\0" * (len(match[0]) - 1)
    return "".join(kept).replace("\0", "")


def whole(pattern):
    """The pattern, not beginning or ending inside a number: 1\\.60 does not match in 21.60 or 1.605."""
    return rf"(?<![\d.])(?<!\d,)(?:{pattern})(?!\d|[.,]\d)"


def unmarked(text, reasons=()):
    """The phrases in prose that look like results and have neither a mark nor a reason (a pattern) to need none."""
    text = without(text, reasons)
    found = [match[0] for match in re.finditer(PHRASE, text) if not match["name"] and re.search(LOOKS, match[0])]
    text = re.sub(PHRASE, lambda match: " " if match["name"] else match[0], text)
    return found + [match[0] for pattern in SPELLED for match in re.finditer(pattern, text, re.IGNORECASE)]
