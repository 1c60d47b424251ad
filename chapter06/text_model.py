"""A tokenizer and a small network for opinions: what the training job makes and the endpoint runs.

Needs PyTorch 2.6 or newer and nothing else, so that the same file works in AWS's training image,
in its serving image and beside a notebook.
"""

from __future__ import annotations

import html
import json
import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from heapq import heapify, heappop, heappush
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

LABELS = ("negative", "neutral", "positive")
PADDING, UNKNOWN = "[PAD]", "[UNK]"

# The files of a model folder.
WEIGHTS, TOKENIZER, SETTINGS = "weights.pt", "tokenizer.json", "settings.json"

_URL = re.compile(r"https?://\S+|www\.\S+")
_MENTION = re.compile(r"@\w+")
_EMOTICON = re.compile(r"(?<!\w)[:;=]['-]?[)(DPp/\\|*]+|<3+")
# In this order: emoticons, words with their apostrophes, marks that repeat, any other symbol.
_WORD = re.compile(rf"{_EMOTICON.pattern}|@?\w+(?:['’]\w+)*|[!?]+|\.\.+|[^\w\s]")


class ModelError(Exception):
    """A model folder that is incomplete, or whose files do not belong together."""


# ------------------------------------------------------------------------------- tokenizer


def words(text: str) -> list[str]:
    """The words, emoticons and marks of a text, in lower case but for emoticons.

    HTML entities are decoded; a URL becomes `url`, a mention `@user`.
    """
    plain = _MENTION.sub(" @user ", _URL.sub(" url ", html.unescape(text)))
    found = _WORD.findall(plain)
    return [each if _EMOTICON.fullmatch(each) else each.lower() for each in found]


class Tokenizer:
    """Byte-pair encoding: frequent words are one token, rare ones are spelled in pieces.

    A piece that begins a word starts with a space, so `" un"` and `"un"` are two tokens. Token 0
    is padding, token 1 stands for a character that the training texts did not have.
    Source: R. Sennrich and others, "Neural Machine Translation of Rare Words with Subword Units",
    ACL 2016.
    """

    def __init__(self, alphabet: Sequence[str], merges: Sequence[Sequence[str]]) -> None:
        joined = [left + right for left, right in merges]
        self.tokens = [PADDING, UNKNOWN, *dict.fromkeys([*alphabet, *joined])]
        self.alphabet, self.merges = list(alphabet), [tuple(pair) for pair in merges]
        self._numbers = {token: number for number, token in enumerate(self.tokens)}
        self._ranks = {pair: rank for rank, pair in enumerate(self.merges)}
        self._known: dict[str, list[str]] = {}

    @classmethod
    def train(cls, texts: Iterable[str], size: int, rarest: int = 2) -> Tokenizer:
        """Learn `size` tokens at most: join the most frequent pair of neighbours, again and again.

        A character or pair that occurs fewer than `rarest` times is not learned. Of equally
        frequent pairs the first in the alphabet is joined, so the same texts give the same tokens.

        Raises:
            ValueError: the characters alone are more than `size` tokens.
        """
        counts = Counter(_spelled(word) for text in texts for word in words(text))
        characters: Counter[str] = Counter()
        for pieces, count in counts.items():
            for piece in pieces:
                characters[piece] += count
        alphabet = sorted(each for each, count in characters.items() if count >= rarest)
        room = size - len(alphabet) - 2
        if room < 0:
            raise ValueError(
                f"a vocabulary of {size} tokens is too small: the texts have {len(alphabet)} "
                "characters, and two tokens are reserved"
            )
        return cls(alphabet, _learn_merges(counts, room, rarest))

    def pieces(self, text: str) -> list[str]:
        """The tokens of a text as strings; unknown characters are kept as they are."""
        return [piece for word in words(text) for piece in self._split(word)]

    def encode(self, text: str, longest: int) -> list[int]:
        """The numbers of the first `longest` tokens; a text without any is one unknown token."""
        unknown = self._numbers[UNKNOWN]
        numbers = [self._numbers.get(piece, unknown) for piece in self.pieces(text)]
        return numbers[:longest] or [unknown]

    def save(self, path: Path) -> None:
        """Write alphabet and merges as JSON."""
        path.write_text(json.dumps({"alphabet": self.alphabet, "merges": self.merges}))

    @classmethod
    def load(cls, path: Path) -> Tokenizer:
        """Read what `save` has written. Raises ModelError if it is something else."""
        try:
            content = json.loads(path.read_text())
            return cls(content["alphabet"], content["merges"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ModelError(f"{path.name} is no tokenizer: {error}") from error

    def _split(self, word: str) -> list[str]:
        if word not in self._known:
            pieces = list(_spelled(word))
            while len(pieces) > 1:
                pairs = list(zip(pieces, pieces[1:], strict=False))
                rank, place = min(
                    (self._ranks.get(pair, math.inf), place) for place, pair in enumerate(pairs)
                )
                if rank == math.inf:
                    break
                pieces[place : place + 2] = ["".join(pairs[place])]
            self._known[word] = pieces
        return self._known[word]


def _spelled(word: str) -> tuple[str, ...]:
    return (f" {word[0]}", *word[1:])


def _learn_merges(
    counts: Counter[tuple[str, ...]], room: int, rarest: int
) -> list[tuple[str, str]]:
    """The pairs to join, in order. `counts` has the words, spelled, and how often each occurs."""
    spelled, frequency = [list(pieces) for pieces in counts], list(counts.values())
    pairs: Counter[tuple[str, str]] = Counter()
    places: defaultdict[tuple[str, str], set[int]] = defaultdict(set)

    def count(number: int, sign: int) -> set[tuple[str, str]]:
        found = set(zip(spelled[number], spelled[number][1:], strict=False))
        for pair in zip(spelled[number], spelled[number][1:], strict=False):
            pairs[pair] += sign * frequency[number]
        for pair in found:
            places[pair].add(number)
        return found

    for number in range(len(spelled)):
        count(number, 1)
    queue = [(-times, pair) for pair, times in pairs.items()]
    heapify(queue)
    merges: list[tuple[str, str]] = []
    while queue and len(merges) < room:
        times, best = heappop(queue)
        if -times != pairs[best]:
            continue  # it has changed since, and stands in the queue with its new count, too
        if -times < rarest:
            break
        merges.append(best)
        changed = set()
        for number in places.pop(best):
            changed |= count(number, -1)
            spelled[number] = _joined(spelled[number], best)
            changed |= count(number, 1)
        del pairs[best]
        for pair in changed - {best}:
            heappush(queue, (-pairs[pair], pair))
    return merges


def _joined(pieces: list[str], pair: tuple[str, str]) -> list[str]:
    done: list[str] = []
    for piece in pieces:
        if done and (done[-1], piece) == pair:
            done[-1] += piece
        else:
            done.append(piece)
    return done


# --------------------------------------------------------------------------------- network


@dataclass(frozen=True)
class Settings:
    """What the network looks like. `longest` is in tokens; texts are cut there."""

    vocabulary: int
    longest: int = 64
    width: int = 64
    heads: int = 2
    dropout: float = 0.3


class Attention(nn.Module):
    """Self-attention: each token becomes a mixture of all tokens of its text.

    softmax(Q Kᵀ / √d) V, in `heads` parts (A. Vaswani and others, "Attention Is All You Need",
    2017). Written out, because the weights are wanted as well.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.project, self.combine = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, tokens: Tensor, padding: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mixtures, and the weights that made them.

        Shapes: tokens and mixtures (batch, length, width); padding (batch, length), True where
        there is no token; weights (batch, heads, length, length), each row sums to 1.
        """
        batch, length, width = tokens.shape
        parts = self.project(tokens).view(batch, length, 3, self.heads, width // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        scores = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])
        weights = scores.masked_fill(padding[:, None, None], -math.inf).softmax(dim=-1)
        mixed = (weights @ value).transpose(1, 2).reshape(batch, length, width)
        return self.combine(mixed), weights


class OpinionNetwork(nn.Module):
    """Embedding, one layer of self-attention, and a weighted mean: polarity and strength.

    Answers for each text three scores, one for each of LABELS (logits), and how strongly people
    feel, in points from 0 to 4.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        width = settings.width
        self.embedding = nn.Embedding(settings.vocabulary, width, padding_idx=0)
        self.position = nn.Embedding(settings.longest, width)
        self.attention = Attention(width, settings.heads)
        self.norm = nn.LayerNorm(width)
        self.importance = nn.Linear(width, 1)
        self.drop = nn.Dropout(settings.dropout)
        self.polarity, self.strength = nn.Linear(width, len(LABELS)), nn.Linear(width, 1)
        nn.init.normal_(self.embedding.weight, std=0.1)
        nn.init.normal_(self.position.weight, std=0.02)
        with torch.no_grad():
            self.embedding.weight[0] = 0

    def forward(self, numbers: Tensor) -> tuple[Tensor, Tensor]:
        """Return the scores (batch, 3) and strengths (batch,) of token numbers (batch, length)."""
        scores, strengths, _ = self.explain(numbers)
        return scores, strengths

    def explain(self, numbers: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return what `forward` does, and the weights of the attention: see Attention."""
        padding = numbers == 0
        positions = torch.arange(numbers.shape[1], device=numbers.device)
        tokens = self.drop(self.embedding(numbers) + self.position(positions))
        mixed, weights = self.attention(tokens, padding)
        tokens = self.norm(tokens + self.drop(mixed))
        importance = self.importance(tokens).squeeze(-1).masked_fill(padding, -math.inf)
        text = (importance.softmax(dim=-1).unsqueeze(-1) * tokens).sum(dim=1)
        text = self.drop(text)
        return self.polarity(text), 4 * self.strength(text).squeeze(-1).sigmoid(), weights


def as_batch(rows: Sequence[Sequence[int]]) -> Tensor:
    """Token numbers of several texts as one tensor (texts, longest of them), padded with 0."""
    tensors = [torch.tensor(row, dtype=torch.long) for row in rows]
    return nn.utils.rnn.pad_sequence(tensors, batch_first=True)


# ------------------------------------------------------------------------------------ model


@dataclass(frozen=True)
class OpinionModel:
    """A trained network with the tokenizer that it was trained with."""

    tokenizer: Tokenizer
    settings: Settings
    network: OpinionNetwork

    def predict(self, texts: Sequence[str]) -> list[dict[str, Any]]:
        """For each text its `label`, the `probabilities` of all labels, and `strength` (0 to 4)."""
        if not texts:
            return []
        rows = [self.tokenizer.encode(text, self.settings.longest) for text in texts]
        probabilities, strengths = self._answer(rows)
        return [
            {
                "label": LABELS[int(of_text.argmax())],
                "probabilities": dict(zip(LABELS, of_text.tolist(), strict=True)),
                "strength": float(strength),
            }
            for of_text, strength in zip(probabilities, strengths, strict=True)
        ]

    def probabilities(self, rows: Sequence[Sequence[int]]) -> Any:
        """The probabilities of LABELS for token numbers, as a NumPy array (texts, 3)."""
        return self._answer(rows)[0].numpy()

    def _answer(self, rows: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
        self.network.eval()
        with torch.inference_mode():
            scores, strengths = self.network(as_batch(rows))
        return scores.softmax(dim=-1), strengths

    def attention(self, text: str) -> tuple[list[str], Tensor]:
        """The tokens of a text and how much each (row) takes from each (column), mean of heads."""
        pieces = self.tokenizer.pieces(text)[: self.settings.longest]
        numbers = as_batch([self.tokenizer.encode(text, self.settings.longest)])
        self.network.eval()
        with torch.inference_mode():
            _, _, weights = self.network.explain(numbers)
        return pieces, weights[0].mean(dim=0)

    def save(self, folder: Path) -> None:
        """Write weights, tokenizer and settings; no pickle, which could run code when read."""
        folder.mkdir(parents=True, exist_ok=True)
        torch.save(self.network.state_dict(), folder / WEIGHTS)
        self.tokenizer.save(folder / TOKENIZER)
        (folder / SETTINGS).write_text(json.dumps(asdict(self.settings)))

    @classmethod
    def load(cls, folder: Path | str) -> OpinionModel:
        """Read what `save` has written.

        Raises:
            ModelError: a file is missing or broken, or the files do not belong together.
        """
        folder = Path(folder)
        missing = [name for name in (WEIGHTS, TOKENIZER, SETTINGS) if not (folder / name).is_file()]
        if missing:
            raise ModelError(f"the model folder has no {' and no '.join(missing)}")
        tokenizer = Tokenizer.load(folder / TOKENIZER)
        try:
            settings = Settings(**json.loads((folder / SETTINGS).read_text()))
            network = OpinionNetwork(settings)
            state = torch.load(folder / WEIGHTS, map_location="cpu", weights_only=True)
            network.load_state_dict(state)
        except Exception as error:  # torch has no common class for what a broken file raises
            raise ModelError(f"{WEIGHTS} and {SETTINGS} make no network: {error}") from error
        if len(tokenizer.tokens) != settings.vocabulary:
            raise ModelError(
                f"the tokenizer has {len(tokenizer.tokens)} tokens, the network was trained with "
                f"{settings.vocabulary}; take both from the same job"
            )
        return cls(tokenizer, settings, network)
