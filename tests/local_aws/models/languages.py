"""Which language a text is written in: py3langid, Naive Bayes over byte sequences."""

from __future__ import annotations

from typing import Any

from . import OnDemand, file_in

_SHA256 = "f4f4a2c3465ca1f081541037f9cac23021d68151c2f709c55ae5eedfca522963"
# https://docs.aws.amazon.com/comprehend/latest/dg/how-languages.html
_KNOWN_TO_COMPREHEND = (
    "af am ar as az ba be bg bn bs ca ceb cs cv cy da de el en eo es et eu fa fi fr ga gd gl gu ha "
    "he hi hr ht hu hy id ilo is it ja jv ka kk km kn ko ku ky la lb lo lt lv mg mk ml mn mr ms mt "
    "my ne new nl no om or pa pl ps pt qu ro ru sa sd si sk sl so sq sr su sv sw ta te tg th tk tl "
    "tr tt ug uk ur uz vi yi yo zh zh-TW"
)
_LEAST_SCORE = 0.05


def languages_of(text: str) -> list[tuple[str, float]]:
    """Codes of languages with their probabilities, the likeliest first; at least one."""
    with _model.use() as model:
        ranked = [(code, float(score)) for code, score in model.rank(text)]
    return [item for item in ranked if item[1] >= _LEAST_SCORE] or ranked[:1]


def _load() -> Any:
    path = file_in("py3langid", "data/model.npz.xz", _SHA256)
    from py3langid.langid import LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(str(path), norm_probs=True)
    identifier.set_languages(set(_KNOWN_TO_COMPREHEND.split()).intersection(identifier.labels))
    return identifier


_model = OnDemand(_load)
